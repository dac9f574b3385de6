"""CROSS in vLLM: a plugin that compiles the pruned linear layers of a checkpoint while vLLM loads it.

Installed with the package: vLLM finds `register` through the entry point ``vllm.general_plugins`` and then knows the
method "cross". The checkpoint is an ordinary one with zeros in its weights:

    llm = vllm.LLM("pruned", quantization="cross")

or with options in its config.json: ``"quantization_config": {"quant_method": "cross", "tokens": [1, 8, 64, 512]}``.
Query, key and value, and gate and up, are one layer in vLLM, so they are one product here too. With tensor parallelism
each rank compiles its own part. NVIDIA GPUs of compute capability 8.0 and newer, bf16 and fp16.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import numpy as np
import torch

from . import _core, _pipeline
from .torch._operator import linear, torch_dtypes
from .torch._structure import share_of_zeros, weight_of_tensor

_plan_dtypes = {dtype: name for name, dtype in torch_dtypes.items()}

# What vLLM's scheduler hands to a layer: decode steps, and prefills in chunks.
_tokens = (1, 8, 32, 64, 512)


def register() -> None:
    """Makes vLLM know the method "cross"; called by vLLM in each of its processes, any number of times."""
    from vllm.model_executor.layers.linear import LinearBase, LinearMethodBase, UnquantizedLinearMethod
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS, register_quantization_config
    from vllm.model_executor.layers.quantization.base_config import QuantizationConfig

    if "cross" in QUANTIZATION_METHODS:
        return

    class CrossLinearMethod(LinearMethodBase):  # type: ignore[misc]
        """A layer of vLLM: its weight as the checkpoint has it, then its plan in the weight's stead."""

        def __init__(self, config: CrossVllmConfig, prefix: str) -> None:
            self.config, self.prefix = config, prefix

        def create_weights(self, layer: torch.nn.Module, input_size_per_partition: int,
                           output_partition_sizes: list[int], input_size: int, output_size: int,
                           params_dtype: torch.dtype, **extra_weight_attrs: Any) -> None:
            weight = torch.nn.Parameter(
                torch.empty(sum(output_partition_sizes), input_size_per_partition, dtype=params_dtype),
                requires_grad=False)
            layer.register_parameter("weight", weight)
            for name, value in {"input_dim": 1, "output_dim": 0, **extra_weight_attrs}.items():
                setattr(weight, name, value)  # the layer's weight loader reads them

        def process_weights_after_loading(self, layer: torch.nn.Module) -> None:
            plan = self.config.compile(self.prefix, layer.weight.data, getattr(layer, "bias", None))
            if plan is None:
                return
            layer.cross_rows = layer.weight.shape[0]
            layer.register_buffer("cross_plan", plan, persistent=False)
            layer.weight = torch.nn.Parameter(layer.weight.data.new_empty(0), requires_grad=False)

        def apply(self, layer: torch.nn.Module, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
            plan = getattr(layer, "cross_plan", None)
            if plan is None:
                return torch.nn.functional.linear(x, layer.weight, bias)
            y: torch.Tensor = linear(x, plan, None, layer.cross_rows, "none", bias is not None)
            return y

    @register_quantization_config("cross")
    class CrossVllmConfig(QuantizationConfig):  # type: ignore[misc]
        """Options of `cross_sparse.torch.sparsify` by the same names, from config.json."""

        def __init__(self, tokens: Any = _tokens, include: Any = (), exclude: Any = (), least_sparsity: float = 0.3,
                     keep_dense: bool = True, measure: bool = True, profile: str | None = None) -> None:
            super().__init__()
            self.tokens = [int(count) for count in tokens]
            self.include, self.exclude = _pipeline._globs(include), _pipeline._globs(exclude)
            self.least_sparsity, self.keep_dense = least_sparsity, keep_dense
            self.measure, self.profile = measure, profile
            self.chosen: dict[str, str] = {}  # layer -> what became of it

        def get_name(self) -> str:
            return "cross"

        def get_supported_act_dtypes(self) -> list[torch.dtype]:
            return [torch.bfloat16, torch.float16, torch.float32]

        @classmethod
        def get_min_capability(cls) -> int:
            return 80

        @staticmethod
        def get_config_filenames() -> list[str]:
            return []

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> CrossVllmConfig:
            options = {name: value for name, value in config.items() if name != "quant_method"}
            if options.pop("layout", None) is not None:
                raise _core.UsageError("this folder holds compiled plans for transformers; vLLM compiles the pruned "
                                       "checkpoint itself, so give it that")
            options.pop("fuse", None)  # vLLM's layers are fused as they are
            known = cls.__init__.__code__.co_varnames[1:cls.__init__.__code__.co_argcount]
            unknown = sorted(set(options) - set(known))
            if unknown:
                raise _core.UsageError(f"quantization_config has unknown options {unknown}; it can have {sorted(known)}")
            return cls(**options)

        def get_quant_method(self, layer: torch.nn.Module, prefix: str) -> Any:
            if not isinstance(layer, LinearBase):
                return None
            if self.include and not any(fnmatch.fnmatchcase(prefix, glob) for glob in self.include) or any(
                    fnmatch.fnmatchcase(prefix, glob) for glob in self.exclude):
                return UnquantizedLinearMethod()
            return CrossLinearMethod(self, prefix)

        def compile(self, name: str, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor | None:
            """The plan of a loaded layer, on its device; None where it stays dense."""
            plan_dtype = _plan_dtypes.get(weight.dtype)
            if plan_dtype is None or (plan_dtype == "fp16" and weight.device.type == "cpu"):
                self.chosen[name] = f"dense: {weight.dtype} on {weight.device.type}"
                return None
            weight = weight_of_tensor(weight)
            sparsity = share_of_zeros(weight)
            if sparsity < self.least_sparsity:
                self.chosen[name] = f"dense: {sparsity:.2f} sparse, less than {self.least_sparsity}"
                return None
            arrays = {name + ".weight": weight.cpu()}
            if bias is not None:
                arrays[name + ".bias"] = bias.data.cpu().contiguous()
            plan = _pipeline.compile(arrays, tokens=self.tokens, dtype=plan_dtype, device=str(weight.device),
                                     threads=torch.get_num_threads(), measure=self.measure, profile=self.profile,
                                     progress=False)
            decisions = _pipeline.explain(plan)["layers"][0]["tokens"]
            if self.keep_dense and all(decision["candidate"].startswith("dense") for decision in decisions):
                self.chosen[name] = "dense: nothing sparse is faster at these token counts"
                return None
            self.chosen[name] = "; ".join(f"{decision['tokens']} tokens: {decision['kernel']}" for decision in decisions)
            return torch.from_numpy(np.frombuffer(plan.to_bytes(), np.uint8).copy()).to(weight.device)
