"""CROSS in Hugging Face transformers: `from_pretrained` compiles a pruned checkpoint, or loads one that was compiled.

    from transformers import AutoModelForCausalLM
    from cross_sparse.transformers import CrossConfig

    model = AutoModelForCausalLM.from_pretrained("pruned", quantization_config=CrossConfig(tokens=(1, 512)))
    model.save_pretrained("compiled")
    model = AutoModelForCausalLM.from_pretrained("compiled")       # nothing is compiled again

Importing this module registers the method "cross" with transformers; loading a compiled folder needs the import too.
Layers are compiled for the device that `from_pretrained` puts them on (``device_map="cuda"``). A compiled folder holds
plans, which belong to the kind of machine that they were made on: another GPU architecture or a CPU without the
instruction set refuses them. Weights that are tied to the input embeddings stay dense.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch as _torch
from transformers.quantizers import HfQuantizer, register_quantization_config, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from . import torch as cst
from .torch._layout import build, layout_of

__all__ = ["CrossConfig", "CrossQuantizer"]


@register_quantization_config("cross")
class CrossConfig(QuantizationConfigMixin):
    """What `cross_sparse.torch.sparsify` is to do to a model that `from_pretrained` loads.

    Args:
        tokens, include, exclude, least_sparsity, keep_dense, fuse, measure, profile: as in `sparsify`. The output
            embeddings (``lm_head``) are left dense unless `include` names them.
        layout: where sparse layers stand; `save_pretrained` writes it, and a config with one loads plans.
    Raises:
        TypeError for arguments that it does not know.
    """

    def __init__(self, tokens: Iterable[int] = (1, 512), include: str | Iterable[str] = (),
                 exclude: str | Iterable[str] = (), least_sparsity: float = 0.3, keep_dense: bool = True,
                 fuse: bool = True, measure: bool = True, profile: str | os.PathLike[str] | None = None,
                 layout: dict[str, Any] | None = None, quant_method: str = "cross") -> None:
        self.quant_method = quant_method
        self.tokens = list(tokens)
        self.include, self.exclude = _listed(include), _listed(exclude)
        self.least_sparsity, self.keep_dense, self.fuse, self.measure = least_sparsity, keep_dense, fuse, measure
        self.profile = None if profile is None else os.fspath(profile)
        self.layout = layout

    def options(self) -> dict[str, Any]:
        """The arguments of `sparsify`."""
        return {"tokens": self.tokens, "include": self.include, "exclude": self.exclude,
                "least_sparsity": self.least_sparsity, "keep_dense": self.keep_dense, "fuse": self.fuse,
                "measure": self.measure, "profile": self.profile}


def _listed(globs: str | Iterable[str]) -> list[str]:
    return [globs] if isinstance(globs, str) else list(globs)


@register_quantizer("cross")
class CrossQuantizer(HfQuantizer):  # type: ignore[misc]
    """Between transformers' `from_pretrained` and `sparsify`; not called by users.

    A checkpoint without a layout is loaded as the dense model that it is, then sparsified. One with a layout gets sparse
    layers first, whose plans transformers loads like other tensors.
    """

    requires_calibration = False

    def _compiled(self) -> bool:
        return self.quantization_config.layout is not None

    def _process_model_before_weight_loading(self, model: _torch.nn.Module, **kwargs: Any) -> None:
        if self._compiled():
            build(model, self.quantization_config.layout)

    def _process_model_after_weight_loading(self, model: _torch.nn.Module, **kwargs: Any) -> _torch.nn.Module:
        if self._compiled():
            return model
        options = self.quantization_config.options()
        if not options["include"]:
            outputs = model.get_output_embeddings()
            options["exclude"] = options["exclude"] + [name for name, module in model.named_modules() if module is outputs]
        cst.sparsify(model.eval(), **options)
        self.quantization_config.layout = layout_of(model)
        return model

    def is_serializable(self, *args: Any, **kwargs: Any) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False

    @property
    def is_compileable(self) -> bool:
        return True
