"""The stages from a model to a plan, and what can be asked of a plan."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from . import _core
from ._arrays import Array, for_core, is_bits
from ._progress import bar


# A model, or the path of one; names or globs, one or several.
ModelLike = _core.Model | str | os.PathLike[str]
Globs = str | Iterable[str]


def _model(model: ModelLike) -> _core.Model:
    return model if isinstance(model, _core.Model) else _core.Model.load(os.fspath(model))


def _globs(globs: Globs) -> list[str]:
    return [globs] if isinstance(globs, str) else list(globs)


def _selection(include: Globs, exclude: Globs) -> _core.Selection:
    return _core.Selection(_globs(include), _globs(exclude))


def model_of(arrays: Mapping[str, Array], name: str = "arrays", config: str | None = None) -> _core.Model:
    """A model in memory.

    Args:
        arrays: tensor name -> array of float32, float16 or bfloat16, C-contiguous, on the CPU. Names end in
            ``.weight`` for weights [out, in] of linear layers and in ``.bias`` for their biases. Not copied; kept
            alive by the model.
        name: stands for the file in messages.
        config: text of config.json, for whole models.
    Raises:
        UsageError for an array that is not C-contiguous on the CPU or of another type.
    """
    return _core.Model._of([(key, for_core(array), is_bits(array)) for key, array in arrays.items()], name, config)


def inspect(model: ModelLike, *, include: Globs = (), exclude: Globs = (),
            dtype: str = "fp32") -> list[dict[str, Any]]:
    """Where the zeros of every linear layer are.

    Returns:
        One dict per layer: ``rows``, ``cols``, ``nnz``, ``sparsity``, ``row_density`` and ``col_density``
        (distributions), ``structure`` with its reason, ``n_m`` and ``block`` where the mask has them, ``bytes`` per
        format with values of `dtype`, ``smallest`` with its reason, ``entropy_bound`` in bytes.
    Raises:
        UsageError for an unknown dtype or a path that is no model, InputError for damaged models.
    """
    return _core._inspect(_model(model), _selection(include, exclude), dtype)


def prune(model: ModelLike, output: str | os.PathLike[str], sparsity: float | None = None, *, scope: str = "layer",
          pattern: str = "unstructured", include: Globs = (), exclude: Globs = (), overwrite: bool = False,
          progress: bool | None = None) -> list[dict[str, Any]]:
    """Write a copy of a model whose selected weights are pruned by magnitude; complete or not at all.

    Args:
        model: path or `Model`. output: path of the copy (a folder for a Hugging Face folder).
        sparsity: share of zeros to reach, 0 <= sparsity < 1; may be left out for keep:group patterns.
        scope: "layer", or "global" to rank the weights of all layers together.
        pattern: "unstructured", "2:4" (keep:group), "block:64x64", "row".
        include, exclude: globs over names of tensors or layers.
        overwrite: replace what is at `output`.
        progress: a bar on stderr (needs tqdm); by default where that is a terminal. The same in the functions below.
    Returns:
        One dict per layer: ``name``, ``rows``, ``cols``, ``sparsity_before``, ``sparsity_after``.
    Raises:
        UsageError for arguments that make no sense or an `output` that exists, InputError for damaged models.
    """
    with bar(progress, "layer") as shown:
        return _core._prune(_model(model), os.fspath(output), sparsity, scope, pattern, _selection(include, exclude),
                            overwrite, shown)


def prune_array(weight: Array, sparsity: float | None = None, *, pattern: str = "unstructured") -> float:
    """Prune one matrix [out, in] in place by magnitude.

    Args:
        weight: (out, in), float32, float16 or bfloat16, C-contiguous, on the CPU. sparsity, pattern: as in `prune`.
    Returns:
        The sparsity reached.
    Raises:
        UsageError for another shape or type, a sparsity outside [0, 1) or an unknown pattern.
    """
    return _core._prune_array(for_core(weight), is_bits(weight), sparsity, pattern)


def calibrate(device: str = "cpu", *, threads: int = 0, quick: bool = False,
              output: str | os.PathLike[str] | None = None, progress: bool | None = None) -> None:
    """Measure every kernel of this machine and keep the prices where `compile` finds them (or in `output`).

    Takes 20 s to 3 minutes; the machine should be idle. `quick` measures few points, for first looks only.

    Raises:
        DeviceError for a device that is not here.
    """
    with bar(progress, "kernel") as shown:
        _core._calibrate(device, threads, quick, os.fspath(output) if output else "", shown)


def compile(model: ModelLike | dict[str, Any], *, tokens: Iterable[int] = (1, 128), dtype: str = "fp32",
            device: str = "cpu", threads: int = 0, include: Globs = (), exclude: Globs = (), whole_model: bool = False,
            copies: int = 1, format: str = "auto", policy: str = "auto", measure: bool = True,
            profile: str | os.PathLike[str] | None = None, progress: bool | None = None) -> _core.Plan:
    """Compile a model's linear layers, or the whole model, into a plan.

    Args:
        model: path, `Model`, or dict of arrays as `model_of` takes it.
        tokens: token counts (columns of X) to decide for; any other count runs too.
        dtype: of the plan: "fp32", "bf16"; on CUDA also "fp16".
        device: "cpu", "cuda" or "cuda:1".
        whole_model: everything that config.json describes, so that `Encoder` can run it. CPU only.
        copies: stored copies of a layer's weights, so that few and many tokens may use different formats.
        format, policy: force one, for experiments. measure: check candidates against dense on this device.
        profile: path of a cost profile; by default this machine's own, else the shipped one.
    Raises:
        UsageError, InputError for damaged models, DeviceError for a device that is not here.
    """
    loaded = model_of(model) if isinstance(model, dict) else _model(model)
    with bar(progress, "layer") as shown:
        return _core._compile(loaded, list(tokens), dtype, device, threads, _selection(include, exclude), whole_model,
                              copies, format, policy, measure, os.fspath(profile) if profile else "", shown)


def explain(plan: _core.Plan) -> dict[str, Any]:
    """What was seen and decided for every layer of a plan, as a dict; ``plan.explain()`` is the same for people."""
    explained: dict[str, Any] = json.loads(plan._explain_json())
    return explained


def bench(plan: _core.Plan, *, tokens: Iterable[int] = (), threads: int = 0, baseline: str = "best", device: str = "",
          seconds: float = 0.25, progress: bool | None = None) -> dict[str, Any]:
    """A plan's layers against the best dense library, in one process; results are compared first.

    Args:
        tokens: by default those of the plan. baseline: "best", "onednn", "openblas" or "cublaslt".
        device: which GPU, "cuda:1"; by default the plan's kind. seconds: spent on each layer and token count.
    Returns:
        A dict with ``layers`` (times in µs, ``speedup``, ``spread``, errors, bytes, shares of the machine's limits)
        and ``total`` per token count. Raises VerificationError if a result is off.
    """
    with bar(progress, "layer") as shown:
        return _core._bench(plan, list(tokens), threads, baseline, device, seconds, shown)


def verify(plan: _core.Plan, model: ModelLike, *, tokens: Iterable[int] = (), threads: int = 0, device: str = "",
           progress: bool | None = None) -> dict[str, Any]:
    """Does the plan hold exactly the model's weights, and does it compute their product?

    Returns:
        A dict: ``passed``, ``layers`` (with the first difference in words), ``not_in_plan``.
    """
    with bar(progress, "layer") as shown:
        return _core._verify(plan, _model(model), list(tokens), threads, device, shown)
