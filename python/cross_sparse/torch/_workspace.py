"""Workspaces of GPUs: one per stream for eager calls, one per GPU for captured graphs.

They lie outside PyTorch's allocator: a graph's private pool must not hold what other calls use too. A graph captured from
a model uses the GPU's graph workspace at every replay, so two graphs must not be replayed at the same time on different
streams.
"""

import atexit

import torch

from .. import _core

_memory: dict = {}  # (device, stream or "graph") -> DeviceMemory
_retired: list = []  # grown out of, but captured graphs may still use them
atexit.register(_retired.clear)
atexit.register(_memory.clear)


# PyTorch's own compilers ask for a stream's handle in this way; the public one makes an object first.
current_stream = getattr(torch._C, "_cuda_getCurrentRawStream",
                         lambda device: torch.cuda.current_stream(device).cuda_stream)


def workspace(session, size, device, stream):
    """Address of at least `size` bytes on the current GPU, `device`, prepared."""
    if torch.cuda.is_current_stream_capturing():
        there = _memory.get((device, "graph"))
        if there is None or there.bytes < size:
            raise _core.UsageError("a CUDA graph is being captured before the model ran: run it once with inputs of these "
                                   "shapes first, as torch.cuda.graph asks for")
        return there.address
    there = _memory.get((device, stream))
    if there is None or there.bytes < size:
        there = _grow(session, device, stream, size)
        _grow(session, device, "graph", size)
    return there.address


def _grow(session, device, place, size):
    old = _memory.get((device, place))
    if old is not None and old.bytes >= size:
        return old
    # What still runs may use the old one, which a captured graph may have kept an address of: it is never freed then.
    torch.cuda.synchronize(device)
    if place == "graph" and old is not None:
        _retired.append(old)
    made = _core.DeviceMemory(max(size, _least), device)
    session.prepare_workspace(made.address, made.bytes, torch.cuda.current_stream().cuda_stream)
    torch.cuda.synchronize(device)
    _memory[(device, place)] = made
    return made


_least = 1 << 20
