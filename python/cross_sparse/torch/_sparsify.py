"""Replacing the linear layers of a model."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from typing import TypeVar

import torch

from .. import _core, _pipeline
from .._progress import bar
from ._fused import Pointwise, SparsePart, parts_of
from ._layout import sparse_layers
from ._linear import SparseLinear
from ._report import LayerReport, Report
from ._structure import following_activations, groups, kind_of, put, share_of_zeros, split, weight_of

_plan_dtypes = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}

# A plan for a GPU keeps a layer in one format, so fused layers should be alike.
_alike = 0.1


M = TypeVar("M", bound=torch.nn.Module)


# A layer that gains less alone loses in a model: torch.compile fuses biases, activations and residuals around nn.Linear
# (SAM's encoder with exact 2:4 weights: 0.96x on an H200, although both replaced layers were faster alone).
WORTH = 1.05


def sparsify(model: M, tokens: Iterable[int] = (1, 512), dtype: torch.dtype | None = None, *,
             include: str | Iterable[str] = (), exclude: str | Iterable[str] = (), threads: int | None = None,
             least_sparsity: float = 0.3, keep_dense: bool = True, fuse: bool = True, measure: bool = True,
             profile: str | os.PathLike[str] | None = None, progress: bool | None = None) -> M:
    """Replace the pruned linear layers of a model by compiled ones, in place.

    `nn.Linear`, GPT-2's ``Conv1D`` and 1x1 `nn.Conv2d` are understood, with zeros that are plain, from
    `torch.nn.utils.prune`, or from a parametrization (`torch.ao.pruning`).

    Args:
        model: in eval mode, on the CPU or on an NVIDIA GPU that CROSS was built for; layers are compiled for the
            device that their weights are on.
        tokens: token counts (batch times sequence) to decide for; any other count runs too.
        dtype: of the plans: torch.float32 or torch.bfloat16, on GPUs also torch.float16; by default that of each
            weight.
        include, exclude: globs over module names.
        threads: by default torch.get_num_threads().
        least_sparsity: layers with fewer zeros are left alone.
        keep_dense: leave a layer as it is where measurement says that nothing sparse is 5 % faster at any of `tokens`.
        fuse: compute layers that share their input as one product (``q_proj``, ``k_proj``, ``v_proj``; ``query``,
            ``key``, ``value``; ``gate_proj``, ``up_proj``), and with a product the activation that its result goes
            into (`nn.Sequential`, MLPs). False: every module keeps its own product.
        measure, profile: as `cross_sparse.compile`.
        progress: a bar on stderr (needs tqdm); by default where that is a terminal.
    Returns:
        model, with ``model.cross_report`` set: see `report`.
    Raises:
        UsageError for a model in training mode or without a layer to replace; DeviceError for a GPU that this build
        of CROSS cannot compile for.
    """
    if model.training:
        raise _core.UsageError("the model is in training mode; call model.eval() first: sparse layers are for inference")
    if isinstance(model, (SparseLinear, SparsePart)) or kind_of(model):
        raise _core.UsageError("sparsify replaces layers inside a model; wrap a single layer in nn.Sequential")
    names = [name for name, module in model.named_modules() if kind_of(module)]
    work = _Work(model, names, tokens, dtype, include, exclude, least_sparsity, keep_dense, fuse,
                 {"threads": threads or torch.get_num_threads(), "measure": measure, "profile": profile})
    found, done = Report(), 0
    with bar(progress, "layer") as shown:
        for group in work.groups():
            if shown:
                shown(done, len(names), group[0])
            found.layers += work.replace(group)
            done += len(group)
    if not found.replaced and not any(layer.sparsity is not None for layer in found.layers):
        raise _core.UsageError(f"no layer of the model is selected; it has {len(names)} that could be")
    model.cross_report = found
    return model


def report(model: torch.nn.Module) -> Report:
    """What `sparsify` did to a model: printable, and data.

    Returns:
        A `Report`: its ``layers`` is a list of `LayerReport`, one for each linear layer or fused group, those left
        dense with the reason; ``to_dict()`` gives plain values. Of a model that was sparsified in another process, what
        its plans say: layers that were left dense are missing there.
    Raises:
        UsageError for a model without a sparse layer that was not sparsified in this process.
    """
    if hasattr(model, "cross_report"):
        found: Report = model.cross_report
        return found
    found = Report([_report_of(entry) for entry in sparse_layers(model)])
    if not found.layers:
        raise _core.UsageError("the model was not sparsified in this process, and has no sparse layer")
    return found


def _report_of(entry):
    layer = entry.layer
    plan = _core.Plan.from_array(layer.plan.cpu())
    made = LayerReport(layer.name, (layer.out_features, layer.in_features), True, "",
                       tuple(entry.names) if len(entry.names) > 1 else (), layer.activation, layer.sparsity)
    made.describe(plan, _pipeline.explain(plan))
    return made


class _Work:
    """One call of sparsify."""

    def __init__(self, model, names, tokens, dtype, include, exclude, least_sparsity, keep_dense, fuse, options):
        self.model, self.names, self.tokens, self.dtype = model, names, tokens, dtype
        self.include, self.exclude = _pipeline._globs(include), _pipeline._globs(exclude)
        self.least_sparsity, self.keep_dense, self.fuse, self.options = least_sparsity, keep_dense, fuse, options
        selected = [name for name in names if not self._left_out(name)] if fuse else []
        self.activations = following_activations(model, selected)

    def groups(self):
        """The layers in the model's order; those that may be fused together."""
        together = {group[0]: group for group in groups(self.model, self.names)} if self.fuse else {}
        followers = {name for group in together.values() for name in group[1:]}
        return [together.get(name, [name]) for name in self.names if name not in followers]

    def replace(self, group):
        """Reports of a group: one if it was fused."""
        candidates = [self._candidate(name) for name in group]
        if len(group) == 1:
            return [self._compile(candidates)]
        if self._fits(candidates):
            return [self._compile(candidates)]
        return [self._compile([candidate]) for candidate in candidates]

    def _left_out(self, name):
        if self.include and not any(fnmatch.fnmatchcase(name, glob) for glob in self.include):
            return "not included"
        return "excluded" if any(fnmatch.fnmatchcase(name, glob) for glob in self.exclude) else ""

    def _candidate(self, name):
        module = self.model.get_submodule(name)
        kind = kind_of(module)
        weight = weight_of(module, kind)
        report = LayerReport(name, tuple(weight.shape), False, self._left_out(name))
        if report.reason:
            return _Candidate(report, kind, None, None, None)
        if weight.device.type not in ("cpu", "cuda"):
            raise _core.UsageError(f"layer {name} is on {weight.device}; CROSS runs on CPUs and NVIDIA GPUs")
        plan_dtype = _plan_dtypes.get(self.dtype or weight.dtype)
        if plan_dtype is None or (plan_dtype == "fp16" and weight.device.type == "cpu"):
            raise _core.UsageError(f"layer {name} is {self.dtype or weight.dtype}; plans are float32 or bfloat16, on GPUs "
                                   "also float16 (pass dtype=)")
        report.sparsity = share_of_zeros(weight)
        if report.sparsity < self.least_sparsity:
            report.reason = f"fewer zeros than least_sparsity {self.least_sparsity}"
        bias = None if module.bias is None else module.bias.detach()
        return _Candidate(report, kind, weight, bias, plan_dtype)

    def _fits(self, candidates):
        """Whether a group can and should be one product."""
        if any(candidate.report.reason for candidate in candidates):
            return False
        shares = [candidate.report.sparsity for candidate in candidates]
        same = {(candidate.plan_dtype, candidate.weight.device, candidate.weight.dtype) for candidate in candidates}
        return len(same) == 1 and max(shares) - min(shares) <= _alike

    def _compile(self, candidates):
        """Compiles what `candidates` are together and puts it into the model, unless dense is faster."""
        first = candidates[0]
        report = first.report
        if report.reason:
            return report
        if len(candidates) > 1:
            report = _joined(candidates)
        arrays = {report.name + ".weight": torch.cat([candidate.weight for candidate in candidates]).cpu()}
        if any(candidate.bias is not None for candidate in candidates):
            arrays[report.name + ".bias"] = torch.cat([candidate.bias_or_zeros() for candidate in candidates]).cpu()
        place = first.weight.device
        plan = _pipeline.compile(arrays, tokens=self.tokens, dtype=first.plan_dtype, device=str(place), progress=False,
                                 **self.options)
        explained = _pipeline.explain(plan)
        report.describe(plan, explained)
        if self.keep_dense and all(entry["candidate"].startswith("dense") for entry in explained["layers"][0]["tokens"]):
            report.reason = "nothing sparse is faster than dense at these token counts"
            return report
        if self.keep_dense and max(entry["speedup"] or 0 for entry in explained["layers"][0]["tokens"]) < WORTH:
            report.reason = f"it gains less than {100 * (WORTH - 1):.0f} % at these token counts"
            return report
        if len(candidates) > 1:
            self._put_parts(candidates, SparseLinear(plan).to(place))
            report.reason = "one product of " + ", ".join(split(part)[1] for part in report.parts)
        else:
            report.activation, absorbed = self._take_activation(report.name)
            sparse = SparseLinear(plan, report.activation).to(place)
            sparse.absorbed = absorbed
            self._put(report.name, Pointwise(sparse) if first.kind == "conv2d" else sparse)
            report.reason = "" if report.activation == "none" else f"with {report.activation}"
        report.replaced = True
        return report

    def _put(self, name, module):
        put(self.model, name, module)

    def _put_parts(self, candidates, fused):
        sizes = [candidate.report.shape[0] for candidate in candidates]
        for candidate, part in zip(candidates, parts_of(fused, sizes)):
            self._put(candidate.report.name, part)

    def _take_activation(self, name):
        """The activation that the layer is to compute, and the path of its module, which becomes an Identity."""
        if name not in self.activations:
            return "none", ""
        path, activation = self.activations[name]
        self._put(path, torch.nn.Identity())
        return activation, path


class _Candidate:
    """A layer as found: its report so far (with a reason if it stays dense), weight [out, in], bias and plan dtype."""

    def __init__(self, report, kind, weight, bias, plan_dtype):
        self.report, self.kind, self.weight, self.bias, self.plan_dtype = report, kind, weight, bias, plan_dtype

    def bias_or_zeros(self):
        return self.bias if self.bias is not None else self.weight.new_zeros(self.weight.shape[0])


def _joined(candidates):
    """The report of several layers fused into one."""
    names = tuple(candidate.report.name for candidate in candidates)
    parent, first = split(names[0])
    children = "+".join([first, *(split(name)[1] for name in names[1:])])
    elements = [candidate.weight.numel() for candidate in candidates]
    zeros = sum(candidate.report.sparsity * count for candidate, count in zip(candidates, elements))
    shape = (sum(candidate.report.shape[0] for candidate in candidates), candidates[0].report.shape[1])
    return LayerReport(f"{parent}.{children}" if parent else children, shape, False, "", names,
                       sparsity=zeros / max(sum(elements), 1))
