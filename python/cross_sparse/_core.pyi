"""C++ core of cross_sparse. Use the names that cross_sparse exports."""

from collections.abc import Callable, Sequence
import os
from typing import Annotated, Any

import numpy
import numpy.typing
from numpy.typing import NDArray


def available_cores() -> int:
    """Cores that this process may use."""

def cuda_devices() -> list[str]:
    """
    Names of the GPUs that CROSS can see; empty without CUDA, a driver or a GPU.
    """

class CrossError(Exception):
    """Base of everything that CROSS raises on purpose."""

class UsageError(CrossError, ValueError):
    """An argument or call that cannot mean anything."""

class InputError(CrossError, ValueError):
    """A file or array that is damaged, hostile, or not what it says it is."""

class VerificationError(CrossError):
    """A result that differs from the reference by more than its tolerance."""

class DeviceError(CrossError, RuntimeError):
    """
    The plan or an argument asks for a device or CPU feature that is not here.
    """

class InternalError(CrossError, RuntimeError):
    """
    CROSS broke something: says which invariant was violated. Please report it.
    """

class Selection:
    """Which tensors are weights of linear layers: globs over their names."""

    def __init__(self, include: Sequence[str] = [], exclude: Sequence[str] = []) -> None: ...

    @property
    def include(self) -> list[str]: ...

    @include.setter
    def include(self, arg: Sequence[str], /) -> None: ...

    @property
    def exclude(self) -> list[str]: ...

    @exclude.setter
    def exclude(self, arg: Sequence[str], /) -> None: ...

class Model:
    """Named tensors with the linear layers among them marked. Immutable."""

    @staticmethod
    def load(path: str | os.PathLike) -> Model:
        """
        Map a .safetensors file, a Hugging Face folder, or read .smtx, .mtx or .npy.

        Raises InputError for damaged files, UsageError for paths that are no model.
        """

    @staticmethod
    def _of(named: list, name: str, config: str | None = None) -> Model: ...

    @property
    def path(self) -> str: ...

    @property
    def config(self) -> str | None:
        """Text of config.json, or None."""

    def layers(self, selection: Selection = ...) -> list[str]:
        """Names of the selected linear layers."""

def _inspect(model: Model, selection: Selection, dtype: str) -> list: ...

def _prune(model: Model, output: str | os.PathLike, sparsity: float | None, scope: str, pattern: str, selection: Selection, overwrite: bool, progress: Callable[[int, int, str], None] | None) -> list: ...

def _prune_array(array: Annotated[NDArray, dict(order='C', device='cpu')], bits: bool, sparsity: float | None, pattern: str) -> float: ...

class Plan:
    """
    A compiled model: its linear layers, and in a model plan the rest too. Immutable.
    """

    @staticmethod
    def load(path: str | os.PathLike) -> Plan:
        """
        Map a plan file and check it. Raises InputError for a damaged one, DeviceError if this machine cannot run it.
        """

    @staticmethod
    def from_bytes(data: bytes, name: str = 'bytes') -> Plan:
        """The plan that `to_bytes` wrote; `name` stands in messages."""

    @staticmethod
    def from_array(array: Any, name: str = 'array') -> Plan:
        """The same from a 1-D uint8 array of any library that speaks DLPack."""

    def save(self, path: str | os.PathLike) -> None:
        """Write the plan completely or not at all."""

    def to_bytes(self) -> bytes:
        """The bytes that `save` writes."""

    def explain(self) -> str:
        """What was seen and decided for every layer, for people."""

    def _explain_json(self) -> str: ...

    @property
    def device(self) -> str:
        """"cpu" or "cuda"."""

    @property
    def dtype(self) -> str:
        """Of weights, x and y: "fp32", "bf16" or "fp16"."""

    @property
    def source(self) -> str:
        """Name of the model that it was made from."""

    @property
    def compiled_on(self) -> str:
        """CPU and its instruction set, or GPU."""

    @property
    def profile_source(self) -> str:
        """Where the prices came from."""

    @property
    def threads(self) -> int:
        """Workers that the schedules are made for (CPU)."""

    @property
    def architecture(self) -> str | None:
        """Of a model plan; None for a plan of layers."""

    @property
    def layers(self, /) -> list[dict[str, Any]]:
        """
        One dict per layer: name, parts, rows, cols, nnz, sparsity, bias, bytes, dense_bytes, tokens.
        """

def _compile(model: Model, tokens: Sequence[int], dtype: str, device: str, threads: int, selection: Selection, whole_model: bool, copies: int, format: str, policy: str, measure: bool, profile: str | os.PathLike, progress: Callable[[int, int, str], None] | None) -> Plan: ...

def _no_whole_model(model: Model) -> str: ...

def _calibrate(device: str, threads: int, quick: bool, output: str | os.PathLike, progress: Callable[[int, int, str], None] | None) -> None: ...

def _bench(plan: Plan, tokens: Sequence[int], threads: int, baseline: str, device: str, seconds: float, progress: Callable[[int, int, str], None] | None) -> dict: ...

def _verify(plan: Plan, model: Model, tokens: Sequence[int], threads: int, device: str, progress: Callable[[int, int, str], None] | None) -> dict: ...

class CpuSession:
    """A plan made ready to run on this CPU."""

    def __init__(self, plan: Plan, threads: int = 0) -> None: ...

    @property
    def plan(self) -> Plan: ...

    def run(self, layer: str, x: Any, out: Any, residual: Any = None, activation: str = 'none', bias: bool = True, bits: bool = False) -> None:
        """
        y = activation(x·Wᵀ + bias) + residual on arrays (tokens, features); `bits`: 16-bit integers are bf16.
        """

    def run_at(self, layer: int, x: int, y: int, tokens: int, residual: int, activation: str, bias: bool) -> None:
        """The same on addresses, unchecked; `layer` is an index."""

class CudaSession:
    """A plan uploaded to one GPU. Addresses and streams are integers."""

    def __init__(self, plan: Plan, device: int = 0) -> None: ...

    @staticmethod
    def of_image(array: Any, device: int, image: int) -> CudaSession:
        """
        A session over a plan's bytes, of which the device holds a copy at address `image` that the caller keeps.
        """

    @property
    def dtype(self) -> str:
        """Of weights, x and y."""

    def cols(self, layer: int) -> int:
        """Width of x."""

    def workspace_bytes(self, layer: int, tokens: int) -> int: ...

    def prepare_workspace(self, workspace: int, bytes: int, stream: int) -> None: ...

    def run_at(self, layer: int, x: int, y: int, tokens: int, residual: int, activation: str, bias: bool, workspace: int, workspace_bytes: int, stream: int) -> None: ...

    def kernel(self, layer: int, tokens: int) -> str:
        """What a run does, e.g. "delta4.sm90"."""

    @property
    def device_bytes(self) -> int: ...

class DeviceMemory:
    """Memory of a GPU outside the allocators of frameworks."""

    def __init__(self, bytes: int, device: int = 0) -> None: ...

    @property
    def address(self) -> int: ...

    @property
    def bytes(self) -> int: ...

class Encoder:
    """A model plan of an encoder: text in, embeddings out, on the CPU."""

    def __init__(self, plan: Plan, threads: int = 0) -> None: ...

    def embed(self, texts: Sequence[str], batch: int = 32) -> numpy.typing.NDArray[numpy.float32]:
        """Embeddings as float32 (sentences, hidden), in the order of the texts."""

    def tokenize(self, text: str) -> list[int]:
        """Token numbers of one sentence, cut to `most_tokens`."""

    @property
    def hidden(self) -> int:
        """Width of an embedding."""

    @property
    def most_tokens(self) -> int:
        """Tokens of a sentence; what is longer is cut."""
