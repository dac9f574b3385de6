"""The operator ``cross_sparse::linear``, and the sessions behind it.

A session belongs to the storage of a plan tensor and is made on the first call, so that the operator's arguments are
plain tensors and numbers: that is what torch.compile, torch.export and copies of modules can carry. On a GPU the plan
tensor itself holds the weights that kernels read.
"""

import atexit
import weakref

import torch

from .. import _core
from ._workspace import workspace

_library = torch.library.Library("cross_sparse", "DEF")
_library.define(
    "linear(Tensor x, Tensor plan, Tensor? residual, int rows, str activation, bool bias) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)

torch_dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Ready:
    """A plan tensor's session, with what every call needs at hand."""

    __slots__ = ("bytes", "cols", "dtype", "plan_dtype", "session", "tensor")

    def __init__(self, tensor):
        here = tensor.detach()
        plan = _core.Plan.from_array(here.cpu())
        if plan.device != tensor.device.type:
            raise _core.UsageError(f"layer {plan.layers[0]['name']} was compiled for {plan.device}, but its plan lies on "
                                   f"{tensor.device}; sparsify the model on the device that is to run it")
        if plan.device == "cuda":
            self.session = _core.CudaSession.of_image(here.cpu(), tensor.device.index, tensor.data_ptr())
        else:
            self.session = _core.CpuSession(plan, torch.get_num_threads())
        self.tensor = weakref.ref(tensor)
        self.cols = plan.layers[0]["cols"]
        self.plan_dtype = plan.dtype
        self.dtype = torch_dtypes[plan.dtype]
        self.bytes = {}  # tokens -> bytes of workspace

    def workspace_bytes(self, tokens):
        known = self.bytes.get(tokens)
        if known is None:
            known = self.bytes[tokens] = self.session.workspace_bytes(0, tokens)
        return known


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


def _arguments(entry, x, residual, rows):
    """x and residual as kernels take them, and a place for the result."""
    if x.dtype != entry.dtype or x.shape[-1] != entry.cols:
        raise _core.UsageError(
            f"x is {str(x.dtype).removeprefix('torch.')} with {x.shape[-1]} features; this layer was compiled for "
            f"{entry.plan_dtype} and {entry.cols}")
    y = x.new_empty((*x.shape[:-1], rows))
    if residual is not None:
        if residual.shape != y.shape or residual.dtype != y.dtype or residual.device != y.device:
            raise _core.UsageError(
                f"residual has shape {tuple(residual.shape)}, type {residual.dtype} on {residual.device}; the result "
                f"{tuple(y.shape)}, {y.dtype} on {y.device}")
        residual = residual.contiguous()
    return x.contiguous(), y, residual


@torch.library.impl(_library, "linear", "CPU")
def _linear_cpu(x, plan, residual, rows, activation, bias):
    entry = _ready(plan)
    x, y, residual = _arguments(entry, x, residual, rows)
    tokens = x.numel() // entry.cols
    if tokens:
        entry.session.run_at(0, x.data_ptr(), y.data_ptr(), tokens, 0 if residual is None else residual.data_ptr(),
                             activation, bias)
    return y


@torch.library.impl(_library, "linear", "CUDA")
def _linear_cuda(x, plan, residual, rows, activation, bias):
    if x.device != plan.device:
        raise _core.UsageError(f"x is on {x.device} and the layer's plan on {plan.device}")
    entry = _ready(plan)
    x, y, residual = _arguments(entry, x, residual, rows)
    # Kernels load 16 bytes at a time.
    if x.data_ptr() % 16:
        x = x.clone()
    if residual is not None and residual.data_ptr() % 16:
        residual = residual.clone()
    tokens = x.numel() // entry.cols
    if tokens:
        with torch.cuda.device(x.device):
            stream = torch.cuda.current_stream().cuda_stream
            size = entry.workspace_bytes(tokens)
            entry.session.run_at(0, x.data_ptr(), y.data_ptr(), tokens,
                                 0 if residual is None else residual.data_ptr(), activation, bias,
                                 workspace(entry.session, size, stream), size, stream)
    return y


@torch.library.register_fake("cross_sparse::linear", lib=_library)
def _linear_fake(x, plan, residual, rows, activation, bias):
    return x.new_empty((*x.shape[:-1], rows))


def _no_backward(context, grad):
    raise RuntimeError("cross_sparse layers are for inference: they have no gradient. Train the dense model, prune it, "
                       "then sparsify it; run sparse models under torch.inference_mode() or torch.no_grad()")


torch.library.register_autograd("cross_sparse::linear", _no_backward, lib=_library)

linear = torch.ops.cross_sparse.linear.default
