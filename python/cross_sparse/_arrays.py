"""What the C++ core must be told about arrays: NumPy cannot export bfloat16, so its bits travel as uint16."""

import numpy as np


def is_bits(array) -> bool:
    """Whether `array` is a NumPy array of ml_dtypes.bfloat16, whose bits are passed instead of its values."""
    return isinstance(array, np.ndarray) and array.dtype.name == "bfloat16"


def for_core(array):
    """The array as the core takes it, without a copy."""
    return array.view(np.uint16) if is_bits(array) else array


def dtype_name(array) -> str:
    """"fp32", "fp16" or "bf16"; other types under their own name."""
    name = str(array.dtype).removeprefix("torch.")
    return {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(name, name)
