"""The operator ``cross_sparse::linear``, and the sessions behind it.

A session belongs to the storage of a plan tensor and is made on the first call, so that the operator's arguments are
plain tensors and numbers: that is what torch.compile, torch.export and copies of modules can carry. On a GPU the plan
tensor itself holds the weights that kernels read.
"""

import atexit
import weakref

import torch

from .. import _core
from ._workspace import current_stream, workspace

_library = torch.library.Library("cross_sparse", "DEF")
_library.define(
    "linear(Tensor x, Tensor plan, Tensor? residual, int rows, str activation, bool bias) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)

torch_dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Ready:
    """A plan tensor's session, with what every call needs at hand. Copies of what holds one start without."""

    __slots__ = ("bytes", "cols", "device", "dtype", "plan_dtype", "session", "tensor")

    def __init__(self, tensor):
        host = tensor.detach().cpu()
        if tensor.device.type == "cuda":
            self.session = _core.CudaSession.of_image(host, tensor.device.index, tensor.data_ptr())
            self.cols, self.plan_dtype = self.session.cols(0), self.session.dtype
        else:
            plan = _core.Plan.from_array(host)
            if plan.device != "cpu":
                raise _core.UsageError(f"layer {plan.layers[0]['name']} was compiled for {plan.device}, but its plan lies "
                                       f"on {tensor.device}; sparsify the model on the device that is to run it")
            self.session = _core.CpuSession(plan, torch.get_num_threads())
            self.cols, self.plan_dtype = plan.layers[0]["cols"], plan.dtype
        self.tensor = weakref.ref(tensor)
        self.device = tensor.get_device()  # -1 for the CPU
        self.dtype = torch_dtypes[self.plan_dtype]
        self.bytes = {}  # tokens -> bytes of workspace

    def __deepcopy__(self, memo):
        return None

    def __reduce__(self):
        return type(None), ()

    def workspace_bytes(self, tokens):
        known = self.bytes.get(tokens)
        if known is None:
            known = self.bytes[tokens] = self.session.workspace_bytes(0, tokens)
        return known


_sessions: dict[int, Ready] = {}
atexit.register(_sessions.clear)  # sessions end before the interpreter does


def ready(plan):
    """The session of a plan tensor. An entry is good while the tensor that it was made from lives: another tensor at
    that address is then a view of the same storage."""
    address = plan.data_ptr()
    entry = _sessions.get(address)
    if entry is None or entry.tensor() is None:
        entry = Ready(plan)
        _sessions[address] = entry
        weakref.finalize(plan, _forget, address)
    return entry


def _forget(address):
    entry = _sessions.get(address)
    if entry is not None and entry.tensor() is None:
        del _sessions[address]


def run(entry, x, residual, rows, activation, bias):
    """What the operator computes, on plain tensors."""
    if x.get_device() != entry.device:
        raise _core.UsageError(f"x is on {x.device} and the layer's plan on {entry.tensor().device}")
    if x.dtype != entry.dtype or x.shape[-1] != entry.cols:
        raise _core.UsageError(
            f"x is {str(x.dtype).removeprefix('torch.')} with {x.shape[-1]} features; this layer was compiled for "
            f"{entry.plan_dtype} and {entry.cols}")
    y = x.new_empty((*x.shape[:-1], rows))
    x = x.contiguous()
    if residual is not None:
        if residual.shape != y.shape or residual.dtype != y.dtype or residual.device != y.device:
            raise _core.UsageError(
                f"residual has shape {tuple(residual.shape)}, type {residual.dtype} on {residual.device}; the result "
                f"{tuple(y.shape)}, {y.dtype} on {y.device}")
        residual = residual.contiguous()
    tokens = x.numel() // entry.cols
    if not tokens:
        return y
    if entry.device < 0:
        entry.session.run_at(0, x.data_ptr(), y.data_ptr(), tokens, 0 if residual is None else residual.data_ptr(),
                             activation, bias)
    elif torch.cuda.current_device() == entry.device:
        _run_on_gpu(entry, x, y, tokens, residual, activation, bias)
    else:
        with torch.cuda.device(entry.device):
            _run_on_gpu(entry, x, y, tokens, residual, activation, bias)
    return y


def _run_on_gpu(entry, x, y, tokens, residual, activation, bias):
    # Kernels load 16 bytes at a time.
    if x.data_ptr() % 16:
        x = x.clone()
    if residual is not None and residual.data_ptr() % 16:
        residual = residual.clone()
    stream = current_stream(entry.device)
    size = entry.workspace_bytes(tokens)
    entry.session.run_at(0, x.data_ptr(), y.data_ptr(), tokens, 0 if residual is None else residual.data_ptr(),
                         activation, bias, workspace(entry.session, size, entry.device, stream), size, stream)


def _linear(x, plan, residual, rows, activation, bias):
    return run(ready(plan), x, residual, rows, activation, bias)


torch.library.impl(_library, "linear", "CPU")(_linear)
torch.library.impl(_library, "linear", "CUDA")(_linear)


@torch.library.register_fake("cross_sparse::linear", lib=_library)
def _linear_fake(x, plan, residual, rows, activation, bias):
    return x.new_empty((*x.shape[:-1], rows))


def _no_backward(context, grad):
    raise RuntimeError("cross_sparse layers are for inference: they have no gradient. Train the dense model, prune it, "
                       "then sparsify it; run sparse models under torch.inference_mode() or torch.no_grad()")


torch.library.register_autograd("cross_sparse::linear", _no_backward, lib=_library)

linear = torch.ops.cross_sparse.linear.default


def _observers():
    """Functions that are false while nothing watches or transforms what runs: modes, functorch, tracing, the profiler.
    None where this PyTorch has them under other names."""
    try:
        return (torch._C._len_torch_dispatch_stack, torch._C._len_torch_function_stack,
                torch._C._functorch.peek_interpreter_stack, torch._C._get_tracing_state,
                torch.autograd._profiler_enabled)
    except AttributeError:
        return None


_dispatch_modes, _function_modes, _transforms, _traced, _profiled = _observers() or (lambda: True,) * 5


def goes_straight(x, residual):
    """Whether a call may skip PyTorch's dispatcher, which costs a small layer as much as its product: eager, nothing
    watches, and no gradient is asked for."""
    if torch.compiler.is_compiling() or type(x) is not torch.Tensor or not (x.is_cpu or x.is_cuda):
        return False
    if _dispatch_modes() or _function_modes() or _transforms() or _traced() or _profiled():
        return False
    return not torch.is_grad_enabled() or not (x.requires_grad or (residual is not None and residual.requires_grad))
