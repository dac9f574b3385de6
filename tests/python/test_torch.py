"""cross_sparse.torch on the CPU."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import cross_sparse as cs  # noqa: E402
import cross_sparse.torch as cst  # noqa: E402


def zeros(weight, share=0.9):
    weight.data[torch.rand_like(weight) < share] = 0


@pytest.fixture
def dense():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(96, 160), torch.nn.GELU(), torch.nn.Linear(160, 64, bias=False),
                                torch.nn.LayerNorm(64)).eval()
    zeros(model[0].weight)
    zeros(model[2].weight)
    return model


@pytest.fixture
def sparse(dense):
    return cst.sparsify(copy.deepcopy(dense), tokens=(8,), keep_dense=False, measure=False)


@pytest.fixture
def x():
    torch.manual_seed(2)
    return torch.randn(2, 5, 96)


def same(a, b):
    return (a - b).abs().max() < 1e-5


def test_layers_are_replaced_and_epilogues_fused(sparse, dense, x):
    assert isinstance(sparse[0], cst.SparseLinear) and sparse[0].activation == "gelu"
    assert isinstance(sparse[1], torch.nn.Identity)
    with torch.inference_mode():
        assert same(sparse(x), dense(x))
    assert "2 of 2 layers replaced" in str(cst.report(sparse))


def test_residual(sparse, x):
    with torch.no_grad():
        layer, residual = sparse[0], torch.randn(2, 5, 160)
        assert same(layer(x, residual), layer(x) + residual)


def test_compile_fullgraph(sparse, dense, x):
    with torch.no_grad():
        assert same(torch.compile(sparse, fullgraph=True, backend="aot_eager")(x), dense(x))


def test_export(sparse, dense, x):
    with torch.no_grad():
        assert same(torch.export.export(sparse, (x,)).module()(x), dense(x))


def test_opcheck(sparse):
    from cross_sparse.torch._operator import linear

    torch.library.opcheck(linear, (torch.randn(3, 96), sparse[0].plan, None, 160, "gelu", True))
    torch.library.opcheck(linear, (torch.randn(3, 96), sparse[0].plan, torch.randn(3, 160), 160, "none", False))


def test_state_dict_round_trip(sparse, dense, x, tmp_path):
    torch.save(sparse.state_dict(), tmp_path / "s.pt")
    other = copy.deepcopy(sparse)
    other[0].plan = torch.zeros(8, dtype=torch.uint8)
    other.load_state_dict(torch.load(tmp_path / "s.pt"))
    with torch.no_grad():
        assert same(other(x), dense(x))


def test_state_dict_of_another_shape(sparse):
    state = sparse.state_dict()
    state["0.plan"] = state["2.plan"]
    with pytest.raises(RuntimeError, match="this module has 96 -> 160"):
        sparse.load_state_dict(state)


def test_copies_are_independent(sparse, dense, x):
    other = copy.deepcopy(sparse)
    del sparse
    with torch.no_grad():
        assert same(other(x), dense(x))


def test_other_dtypes_leave_plans_alone(sparse, dense, x):
    with torch.no_grad():
        sparse[0].to(torch.bfloat16)
        assert same(sparse[0](x), torch.nn.functional.gelu(dense[0](x)))
        with pytest.raises(cs.UsageError, match="x is bfloat16 with 96 features; this layer was compiled for fp32"):
            sparse[0](x.bfloat16())


def test_other_devices_are_refused(sparse):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    with pytest.raises(cs.UsageError, match="compiled for the CPU"):
        sparse.cuda()


def test_gradients_are_refused(sparse, x):
    with pytest.raises(RuntimeError, match="inference"):
        sparse[0](x.requires_grad_()).sum().backward()


def test_training_mode_is_refused(dense):
    with pytest.raises(cs.UsageError, match="eval"):
        cst.sparsify(dense.train())


def test_masks_of_pytorch_pruning(dense, x):
    from torch.nn.utils import prune

    prune.l1_unstructured(dense[0], "weight", 0.95)
    with torch.no_grad():
        expected = dense(x)
    cst.sparsify(dense, tokens=(8,), keep_dense=False, measure=False)
    assert dense[0].sparsity > 0.94
    with torch.no_grad():
        assert same(dense(x), expected)


def test_dense_layers_are_left_alone():
    model = torch.nn.Sequential(torch.nn.Linear(32, 32)).eval()
    cst.sparsify(model, measure=False)
    assert isinstance(model[0], torch.nn.Linear)
    assert "fewer zeros" in str(cst.report(model))


def test_globs(dense):
    cst.sparsify(dense, tokens=(8,), include="2", keep_dense=False, measure=False)
    assert isinstance(dense[0], torch.nn.Linear) and isinstance(dense[2], cst.SparseLinear)


def test_pointwise_convolution():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(48, 64, 1)).eval()
    zeros(model[0].weight)
    x = torch.randn(2, 48, 5, 7)
    with torch.no_grad():
        expected = model(x)
        cst.sparsify(model, tokens=(70,), keep_dense=False, measure=False)
        assert model(x).shape == expected.shape and same(model(x), expected)


def test_bfloat16_model():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64)).eval().bfloat16()
    zeros(model[0].weight)
    x = torch.randn(4, 64).bfloat16()
    with torch.no_grad():
        expected = model(x).float()
        cst.sparsify(model, tokens=(4,), keep_dense=False, measure=False)
        assert (model(x).float() - expected).abs().max() < 0.02
