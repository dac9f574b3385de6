"""Running layers of a plan on arrays."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from . import _core
from ._arrays import Array, dtype_name, for_core, is_bits

A = TypeVar("A", bound=Array)


class Session:
    """A plan made ready to run on this CPU.

    One call runs at a time; calls from several threads wait for one another without the GIL. Several sessions may
    share a plan. Results are bitwise reproducible for the same plan, machine and token count, except in layers that run
    through a dense library. On GPUs use `cross_sparse.torch`.

    Args:
        plan: made for the CPU. threads: 0 for one per core.
    """

    def __init__(self, plan: _core.Plan, threads: int = 0) -> None:
        if plan.device != "cpu":
            raise _core.UsageError(
                f"the plan is for {plan.device}; Session runs CPU plans, cross_sparse.torch both kinds")
        self._session = _core.CpuSession(plan, threads)

    @property
    def plan(self) -> _core.Plan:
        """The plan that it runs."""
        return self._session.plan

    def run(self, layer: str, x: A, *, out: A | None = None, residual: A | None = None, activation: str = "none",
            bias: bool = True) -> A:
        """``activation(x @ W.T + bias) + residual``

        Args:
            layer: name of the layer. x: (tokens, K), C-contiguous, in the plan's dtype.
            out: (tokens, M) to write into; by default a new array of x's library. It may be `residual`, not `x`.
            residual: (tokens, M), added after the activation.
            activation: "none", "relu", "gelu", "gelu_tanh" or "silu". bias: whether to add the layer's.
        Returns:
            out.
        Raises:
            UsageError for an unknown layer, a shape or a dtype that does not fit; TypeError for arrays that are not
            C-contiguous on the CPU.
        """
        if out is None:
            out = _empty_like(x, self._width(layer))
        self._session.run(layer, for_core(x), for_core(out), None if residual is None else for_core(residual),
                          activation, bias, is_bits(x))
        return out

    def _width(self, layer: str) -> int:
        for entry in self.plan.layers:
            if entry["name"] == layer:
                return int(entry["rows"])
        raise _core.UsageError(f'the plan has no layer "{layer}"; `plan.layers` lists them')


def _empty_like(x: Any, width: int) -> Any:
    if len(x.shape) != 2:
        raise _core.UsageError(f"x has shape {tuple(x.shape)}; it must be (tokens, K)")
    if isinstance(x, np.ndarray):
        return np.empty((x.shape[0], width), x.dtype)
    if hasattr(x, "new_empty"):  # torch
        return x.new_empty((x.shape[0], width))
    raise _core.UsageError(f"give `out` for arrays of type {type(x).__name__} ({dtype_name(x)})")
