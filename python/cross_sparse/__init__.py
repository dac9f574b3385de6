"""Exact inference with sparse weights: from a pruned model to a measured faster product.

The pipeline is ``load -> prune -> inspect -> compile -> run``::

    import cross_sparse as cs

    cs.prune("model", "pruned", sparsity=0.8, scope="global")
    plan = cs.compile("pruned", tokens=(1, 128))
    y = cs.Session(plan).run("encoder.layer.0.output.dense", x)   # x: (tokens, K) -> y: (tokens, M)

Arrays are those of any library that speaks DLPack (NumPy, PyTorch, CuPy), and are not copied. NumPy has no bfloat16
of its own; arrays of ``ml_dtypes.bfloat16`` are understood. Long calls release the GIL.

Errors are `UsageError` and `InputError` (both also ``ValueError``), `DeviceError` and `InternalError` (both also
``RuntimeError``), and `VerificationError`; all of them are `CrossError`.
"""

from . import _core
from ._core import (
    CrossError,
    DeviceError,
    Encoder,
    InputError,
    InternalError,
    Model,
    Plan,
    Selection,
    UsageError,
    VerificationError,
    available_cores,
    cuda_devices,
)
from ._pipeline import bench, calibrate, compile, explain, inspect, model_of, prune, prune_array, verify
from ._session import Session

__version__: str = getattr(_core, "__version__")  # stubs leave such names out

__all__ = [
    "CrossError",
    "DeviceError",
    "Encoder",
    "InputError",
    "InternalError",
    "Model",
    "Plan",
    "Selection",
    "Session",
    "UsageError",
    "VerificationError",
    "__version__",
    "available_cores",
    "bench",
    "calibrate",
    "compile",
    "cuda_devices",
    "explain",
    "inspect",
    "model_of",
    "prune",
    "prune_array",
    "verify",
]
