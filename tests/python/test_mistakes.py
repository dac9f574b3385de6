"""One test per user mistake: the type of the exception, and that it names what is wrong."""

import numpy as np
import pytest

import cross_sparse as cs


@pytest.fixture
def session(pruned):
    return cs.Session(cs.compile({"fc.weight": pruned(12, 20)}, measure=False))


def x(tokens=3, cols=20, dtype=np.float32):
    return np.zeros((tokens, cols), dtype)


def test_hierarchy():
    assert issubclass(cs.UsageError, ValueError) and issubclass(cs.InputError, ValueError)
    assert issubclass(cs.DeviceError, RuntimeError) and issubclass(cs.VerificationError, cs.CrossError)


def test_unknown_layer(session):
    with pytest.raises(cs.UsageError, match='no layer "nope"'):
        session.run("nope", x())


def test_wrong_width(session):
    with pytest.raises(cs.UsageError, match=r"x has shape \(3, 19\); it must be \(tokens, 20\)"):
        session.run("fc", x(cols=19))


def test_wrong_dimensions(session):
    with pytest.raises(cs.UsageError, match="shape"):
        session.run("fc", np.zeros(20, np.float32))


def test_wrong_dtype(session):
    with pytest.raises(cs.UsageError, match="x is not fp32"):
        session.run("fc", x(dtype=np.float16))


def test_wrong_out(session):
    with pytest.raises(cs.UsageError, match=r"out has shape \(2, 12\)"):
        session.run("fc", x(), out=np.zeros((2, 12), np.float32))


def test_not_contiguous(session):
    with pytest.raises(TypeError):
        session.run("fc", np.zeros((20, 3), np.float32).T)


def test_weight_that_is_not_contiguous(pruned):
    with pytest.raises(cs.UsageError, match='"fc.weight" is no C-contiguous'):
        cs.compile({"fc.weight": pruned(8, 6).T})


def test_unknown_activation(session):
    with pytest.raises(cs.UsageError, match='activation "swish"'):
        session.run("fc", x(), activation="swish")


def test_wrong_weight_type():
    with pytest.raises(cs.UsageError, match='"fc.weight" is neither'):
        cs.compile({"fc.weight": np.zeros((4, 4))})


def test_unknown_dtype(pruned):
    with pytest.raises(cs.UsageError, match='dtype "float32"'):
        cs.compile({"fc.weight": pruned(4, 4)}, dtype="float32")


def test_no_layer(pruned):
    with pytest.raises(cs.UsageError, match="no layer is selected"):
        cs.compile({"fc": pruned(4, 4)})


def test_no_such_file():
    with pytest.raises(cs.UsageError, match="no such file"):
        cs.Model.load("/nowhere.safetensors")


def test_damaged_plan(pruned):
    data = bytearray(cs.compile({"fc.weight": pruned(16, 16)}, measure=False).to_bytes())
    data[-80] ^= 1
    with pytest.raises(cs.InputError, match="mine"):
        cs.Plan.from_bytes(bytes(data), "mine")


def test_sparsity_in_percent(pruned):
    with pytest.raises(cs.UsageError, match="share"):
        cs.prune_array(pruned(8, 8), 80)


def test_device_that_is_not_here(pruned):
    if cs.cuda_devices():
        pytest.skip("this machine has a GPU")
    with pytest.raises(cs.DeviceError, match="CUDA|driver|GPU"):
        cs.compile({"fc.weight": pruned(16, 16)}, device="cuda")
