"""What the C++ core must be told about arrays: NumPy cannot export bfloat16, so its bits travel as uint16."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Array(Protocol):
    """An array of any library that speaks DLPack: NumPy, PyTorch, CuPy, JAX."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...


def is_bits(array: Array) -> bool:
    """Whether `array` is a NumPy array of ml_dtypes.bfloat16, whose bits are passed instead of its values."""
    return isinstance(array, np.ndarray) and array.dtype.name == "bfloat16"


def for_core(array: Array) -> Any:
    """The array as the core takes it, without a copy."""
    return array.view(np.uint16) if isinstance(array, np.ndarray) and is_bits(array) else array


def dtype_name(array: Array) -> str:
    """"fp32", "fp16" or "bf16"; other types under their own name."""
    name = str(array.dtype).removeprefix("torch.")
    return {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(name, name)
