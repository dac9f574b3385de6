"""Replacing the linear layers of a model."""

import dataclasses
import fnmatch

import torch

from .. import _core, _pipeline
from .._progress import bar
from ._linear import SparseLinear

_plan_dtypes = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def sparsify(model, tokens=(1, 512), dtype=None, *, include=(), exclude=(), threads=None, least_sparsity=0.3,
             keep_dense=True, fuse=True, measure=True, profile=None, progress=None):
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
        keep_dense: leave a layer as it is where measurement says that nothing sparse is faster at any of `tokens`.
        fuse: an activation module that follows a layer in a `nn.Sequential` is computed with the product.
        measure, profile: as `cross_sparse.compile`.
    Returns:
        model, with ``model.cross_report`` set: see `report`.
    Raises:
        UsageError for a model in training mode or without a layer to replace; DeviceError for a GPU that this build
        of CROSS cannot compile for.
    """
    if model.training:
        raise _core.UsageError("the model is in training mode; call model.eval() first: sparse layers are for inference")
    if isinstance(model, SparseLinear) or _kind(model):
        raise _core.UsageError("sparsify replaces layers inside a model; wrap a single layer in nn.Sequential")
    globs = _pipeline._globs(include), _pipeline._globs(exclude)
    names = [name for name, module in model.named_modules() if _kind(module)]
    found = Report()
    with bar(progress, "layer") as shown:
        for done, name in enumerate(names):
            if shown:
                shown(done, len(names), name)
            found.layers.append(_replace(model, name, tokens, dtype, globs, threads, least_sparsity, keep_dense, fuse,
                                         measure, profile))
    if not found.replaced and not any(layer.sparsity is not None for layer in found.layers):
        raise _core.UsageError(f"no layer of the model is selected; it has {len(names)} that could be")
    model.cross_report = found
    return model


def report(model):
    """What `sparsify` did to a model: printable, and a list of dataclasses in ``layers``."""
    if not hasattr(model, "cross_report"):
        raise _core.UsageError("the model was not sparsified in this process")
    return model.cross_report


@dataclasses.dataclass
class LayerReport:
    """One layer: what became of it, and why."""

    name: str
    shape: tuple
    replaced: bool
    reason: str
    sparsity: float | None = None
    speedups: dict = dataclasses.field(default_factory=dict)  # tokens -> dense time over ours, as compile measured it
    dense_bytes: int = 0
    packed_bytes: int = 0


@dataclasses.dataclass
class Report:
    layers: list = dataclasses.field(default_factory=list)

    @property
    def replaced(self):
        return [layer for layer in self.layers if layer.replaced]

    def __str__(self):
        lines = [f"{len(self.replaced)} of {len(self.layers)} layers replaced, "
                 f"{sum(layer.dense_bytes for layer in self.replaced) / 1e6:.1f} -> "
                 f"{sum(layer.packed_bytes for layer in self.replaced) / 1e6:.1f} MB"]
        for layer in self.layers:
            what = "sparse" if layer.replaced else "dense "
            share = "" if layer.sparsity is None else f" {100 * layer.sparsity:5.1f} %"
            lines.append(f"  {what}{share}  {layer.name} {tuple(layer.shape)}: {layer.reason}")
        return "\n".join(lines)


def _kind(module):
    """How a module's weight is laid out: "linear" [out, in], "conv1d" [in, out] (GPT-2), "conv2d" 1x1, or None."""
    if isinstance(module, torch.nn.Linear):
        return "linear"
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf") and module.weight.dim() == 2:
        return "conv1d"
    if (isinstance(module, torch.nn.Conv2d) and module.kernel_size == (1, 1) and module.stride == (1, 1)
            and module.groups == 1 and module.padding in ((0, 0), "same", "valid")):
        return "conv2d"
    return None


def _weight(module, kind):
    """The weight [out, in] with its mask applied, contiguous."""
    # torch.nn.utils.prune computes `weight` in a hook before forward: it may be stale now. A mask leaves -0.0 where it
    # met a negative weight, which to CROSS is a kept value.
    weight = module.weight_orig * module.weight_mask if hasattr(module, "weight_mask") else module.weight
    weight = torch.where(weight == 0, 0, weight.detach())
    if kind == "conv2d":
        weight = weight[:, :, 0, 0]
    return (weight.t() if kind == "conv1d" else weight).contiguous()


def _replace(model, name, tokens, dtype, globs, threads, least_sparsity, keep_dense, fuse, measure, profile):
    module = model.get_submodule(name)
    kind = _kind(module)
    weight = _weight(module, kind)
    left = LayerReport(name, tuple(weight.shape), False, "")
    include, exclude = globs
    if include and not any(fnmatch.fnmatchcase(name, glob) for glob in include):
        left.reason = "not included"
        return left
    if any(fnmatch.fnmatchcase(name, glob) for glob in exclude):
        left.reason = "excluded"
        return left
    place = weight.device
    if place.type not in ("cpu", "cuda"):
        raise _core.UsageError(f"layer {name} is on {place}; CROSS runs on CPUs and NVIDIA GPUs")
    plan_dtype = _plan_dtypes.get(dtype or weight.dtype)
    if plan_dtype is None or (plan_dtype == "fp16" and place.type == "cpu"):
        raise _core.UsageError(f"layer {name} is {dtype or weight.dtype}; plans are float32 or bfloat16, on GPUs also "
                               "float16 (pass dtype=)")
    left.sparsity = float((weight == 0).sum()) / max(weight.numel(), 1)
    if left.sparsity < least_sparsity:
        left.reason = f"fewer zeros than least_sparsity {least_sparsity}"
        return left
    arrays = {name + ".weight": weight.cpu()}
    if module.bias is not None:
        arrays[name + ".bias"] = module.bias.detach().cpu().contiguous()
    plan = _pipeline.compile(arrays, tokens=tokens, dtype=plan_dtype, threads=threads or torch.get_num_threads(),
                             device=str(place), measure=measure, profile=profile, progress=False)
    decisions = _pipeline.explain(plan)["layers"][0]["tokens"]
    left.speedups = {decision["tokens"]: decision["speedup"] for decision in decisions}
    left.dense_bytes, left.packed_bytes = plan.layers[0]["dense_bytes"], plan.layers[0]["bytes"]
    if keep_dense and all(decision["candidate"].startswith("dense") for decision in decisions):
        left.reason = "nothing sparse is faster than dense at these token counts"
        return left
    activation = _fuse_following(model, name) if fuse else "none"
    sparse = SparseLinear(plan, activation).to(place)
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, _Pointwise(sparse) if kind == "conv2d" else sparse)
    left.replaced = True
    left.reason = "; ".join(f"{decision['tokens']} tokens: {decision['kernel']} ({decision['speedup']:.2f}x)"
                            for decision in decisions)
    if activation != "none":
        left.reason += f"; with {activation}"
    return left


def _activation_name(module):
    if isinstance(module, torch.nn.ReLU):
        return "relu"
    if isinstance(module, torch.nn.SiLU):
        return "silu"
    if isinstance(module, torch.nn.GELU):
        return "gelu_tanh" if module.approximate == "tanh" else "gelu"
    return "none"


def _fuse_following(model, name):
    """The activation that follows in a `nn.Sequential`, which becomes an Identity; "none" if there is none."""
    parent, _, child = name.rpartition(".")
    sequence = model.get_submodule(parent)
    if not isinstance(sequence, torch.nn.Sequential) or not child.isdigit():
        return "none"
    following = int(child) + 1
    if following >= len(sequence):
        return "none"
    activation = _activation_name(sequence[following])
    if activation != "none":
        sequence[following] = torch.nn.Identity()
    return activation


class _Pointwise(torch.nn.Module):
    """A 1x1 convolution by a sparse layer: (N, C, H, W) -> channels last -> (N, C', H, W)."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return self.linear(x.movedim(-3, -1)).movedim(-1, -3)
