"""The module that stands where a linear layer stood."""

from __future__ import annotations

import json
from typing import Any

import torch

from .. import _core
from ._operator import goes_straight, linear, ready, run, torch_dtypes


# What a layer knows of its plan.
_described = ("name", "in_features", "out_features", "has_bias", "sparsity", "dtype", "compiled_for", "packed_bytes",
              "dense_bytes")


def _description(plan: _core.Plan) -> dict[str, Any]:
    if len(plan.layers) != 1:
        raise _core.UsageError(f"SparseLinear takes a plan of one layer; this one has {len(plan.layers)}")
    layer = plan.layers[0]
    values = (layer["name"], layer["cols"], layer["rows"], layer["bias"], layer["sparsity"], plan.dtype, plan.device,
              layer["bytes"], layer["dense_bytes"])
    return dict(zip(_described, values))


class SparseLinear(torch.nn.Module):
    """``activation(x @ W.T + bias)`` by a compiled plan of one layer.

    The plan is the buffer ``plan`` (uint8, on the device that it was compiled for), so that `state_dict`,
    `copy.deepcopy`, pickling and safetensors keep it. Weights keep the dtype that they were compiled for: `half()`,
    `bfloat16()` and ``to(dtype)`` leave the layer as it is, and an x of another dtype is refused by name.

    Shape: x (*, in_features) -> (*, out_features), in the plan's dtype.
    """

    def __init__(self, plan: _core.Plan | torch.Tensor, activation: str = "none") -> None:
        """plan: a `cross_sparse.Plan` with one layer, or its bytes as a uint8 tensor."""
        super().__init__()
        if isinstance(plan, _core.Plan):
            # A copy: bytes are read-only.
            tensor = torch.frombuffer(bytearray(plan.to_bytes()), dtype=torch.uint8)
        else:
            tensor, plan = plan, _core.Plan.from_array(plan.cpu())
        self._hold(tensor, activation, _description(plan))

    @classmethod
    def empty(cls, description: dict[str, Any], activation: str = "none") -> SparseLinear:
        """A layer as `description` says, whose plan is to be loaded: a tensor of its size without data."""
        layer = cls.__new__(cls)
        torch.nn.Module.__init__(layer)
        size = int(description["plan_bytes"])
        layer._hold(torch.empty(size, dtype=torch.uint8, device="meta"), activation, description)
        return layer

    def description(self) -> dict[str, Any]:
        """What `empty` takes: plain values."""
        return {key: getattr(self, key) for key in _described} | {"plan_bytes": self.plan.numel()}

    def _hold(self, tensor: torch.Tensor, activation: str, description: dict[str, Any]) -> None:
        self.register_buffer("plan", tensor)
        self.activation = activation
        self.absorbed = ""  # path of the activation's module in the model, which is an Identity now
        self._ready = None  # the session of `plan`, once it ran
        self._describe(description)

    def _describe(self, description: dict[str, Any]) -> None:
        for key in _described:
            setattr(self, key, description[key])

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """``activation(x @ W.T + bias) + residual``

        x: (*, in_features). residual: (*, out_features). Both in the plan's dtype, on its device.
        """
        plan = self._buffers["plan"]
        if not goes_straight(x, residual):
            return linear(x, plan, residual, self.out_features, self.activation, True)
        entry = self._ready
        if entry is None or entry.tensor() is not plan:
            entry = self._ready = ready(plan)
        return run(entry, x, residual, self.out_features, self.activation, True)

    @property
    def weight(self) -> torch.Tensor:
        """Empty, with the dtype and device of the plan: for code that asks a layer for those."""
        return torch.empty(0, dtype=torch_dtypes[self.dtype], device=self.plan.device)

    def explain(self) -> dict[str, Any]:
        """What was decided for this layer and why: one entry of `cross_sparse.explain`."""
        return json.loads(_core.Plan.from_array(self.plan.cpu())._explain_json())["layers"][0]

    def extra_repr(self):
        return (f"in_features={self.in_features}, out_features={self.out_features}, sparsity={self.sparsity:.3f}, "
                f"dtype={self.dtype}, activation={self.activation}, compiled_for={self.compiled_for}")

    def _apply(self, fn, recurse=True):
        # A plan runs on the kind of device that it was compiled for; the CPU may hold any, to save it.
        moved = fn(torch.empty(0, device=self.plan.device)).device.type
        if moved not in ("cpu", "meta", self.compiled_for):
            raise _core.UsageError(f"layer {self.name} was compiled for the CPU and cannot move to another device; move "
                                   "the dense model there and sparsify it again")
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                              error_msgs):
        # Plans differ in size, and the session of the old one must not meet the new bytes: another tensor.
        key = prefix + "plan"
        if key in state_dict:
            try:
                plan = _core.Plan.from_array(state_dict[key].cpu())
                layer = plan.layers[0]
                if (layer["rows"], layer["cols"]) != (self.out_features, self.in_features):
                    error_msgs.append(f"{key}: holds a layer of {layer['cols']} -> {layer['rows']} features; this "
                                      f"module has {self.in_features} -> {self.out_features}")
                else:
                    self.plan = state_dict[key].detach().to(self.plan.device, copy=True)
                    self._describe(_description(plan))
            except _core.CrossError as error:
                error_msgs.append(f"{key}: {error}")
        elif strict:
            missing_keys.append(key)
