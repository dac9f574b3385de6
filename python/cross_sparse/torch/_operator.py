"""The operator ``cross_sparse::linear``, and the sessions behind it.

A session belongs to the storage of a plan tensor and is made on the first call, so that the operator's arguments are
plain tensors and numbers: that is what torch.compile, torch.export and copies of modules can carry.
"""

import atexit
import weakref

import torch

from .. import _core

_library = torch.library.Library("cross_sparse", "DEF")
_library.define(
    "linear(Tensor x, Tensor plan, Tensor? residual, int rows, str activation, bool bias) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)

_dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Ready:
    """A plan tensor's session, with what every call needs at hand."""

    __slots__ = ("cols", "dtype", "plan_dtype", "run_at", "tensor")

    def __init__(self, tensor):
        plan = _core.Plan.from_array(tensor.detach())
        session = _core.CpuSession(plan, torch.get_num_threads())
        self.tensor = weakref.ref(tensor)
        self.run_at = session.run_at
        self.cols = plan.layers[0]["cols"]
        self.plan_dtype = plan.dtype
        self.dtype = _dtypes[plan.dtype]


_sessions: dict[int, _Ready] = {}
atexit.register(_sessions.clear)  # sessions end before the interpreter does


def _ready(plan):
    """The session of a plan tensor. An entry is good while the tensor that it was made from lives: another tensor at
    that address is then a view of the same storage."""
    address = plan.data_ptr()
    entry = _sessions.get(address)
    if entry is None or entry.tensor() is None:
        entry = _Ready(plan)
        _sessions[address] = entry
        weakref.finalize(plan, _forget, address)
    return entry


def _forget(address):
    entry = _sessions.get(address)
    if entry is not None and entry.tensor() is None:
        del _sessions[address]


@torch.library.impl(_library, "linear", "CPU")
def _linear_cpu(x, plan, residual, rows, activation, bias):
    entry = _ready(plan)
    if x.dtype != entry.dtype or x.shape[-1] != entry.cols:
        raise _core.UsageError(
            f"x is {str(x.dtype).removeprefix('torch.')} with {x.shape[-1]} features; this layer was compiled for "
            f"{entry.plan_dtype} and {entry.cols}")
    x = x.contiguous()
    y = x.new_empty((*x.shape[:-1], rows))
    if residual is not None:
        if residual.shape != y.shape or residual.dtype != y.dtype:
            raise _core.UsageError(
                f"residual has shape {tuple(residual.shape)} and type {residual.dtype}; the result {tuple(y.shape)} "
                f"and {y.dtype}")
        residual = residual.contiguous()
    tokens = x.numel() // entry.cols if entry.cols else 0
    if tokens:
        entry.run_at(0, x.data_ptr(), y.data_ptr(), tokens, 0 if residual is None else residual.data_ptr(), activation,
                     bias)
    return y


@torch.library.register_fake("cross_sparse::linear", lib=_library)
def _linear_fake(x, plan, residual, rows, activation, bias):
    return x.new_empty((*x.shape[:-1], rows))


def _no_backward(context, grad):
    raise RuntimeError("cross_sparse layers are for inference: they have no gradient. Train the dense model, prune it, "
                       "then sparsify it; run sparse models under torch.inference_mode() or torch.no_grad()")


torch.library.register_autograd("cross_sparse::linear", _no_backward, lib=_library)

linear = torch.ops.cross_sparse.linear.default
