"""cross_sparse.torch on the CPU."""

import copy
import json

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


def same(a, b, tolerance=1e-5):
    return (a - b).abs().max() < tolerance * max(1.0, b.abs().max().item())


def test_layers_are_replaced_and_epilogues_fused(sparse, dense, x):
    assert isinstance(sparse[0], cst.SparseLinear) and sparse[0].activation == "gelu"
    assert isinstance(sparse[1], torch.nn.Identity)
    with torch.inference_mode():
        assert same(sparse(x), dense(x))
    assert "2 of 2 layers replaced" in str(cst.report(sparse))


def test_report_as_data(dense):
    dense[2].weight.data.normal_()
    sparse = cst.sparsify(dense, tokens=(1, 8), keep_dense=False, progress=False)
    first, second = cst.report(sparse).layers
    assert isinstance(first, cst.LayerReport) and first.replaced and first.activation == "gelu"
    assert first.shape == (160, 96) and 0 < first.packed_bytes <= first.dense_bytes and sum(first.formats.values()) > 0.99
    assert [decision.tokens for decision in first.decisions] == [1, 8]
    for decision in first.decisions:
        assert decision.kernel and decision.measured_us > 0 and decision.dense_measured_us > 0 and decision.rejected
        assert first.speedups[decision.tokens] == decision.speedup
    assert not second.replaced and "fewer zeros" in second.reason and second.decisions == []
    assert json.loads(json.dumps(cst.report(sparse).to_dict()))["layers"][0]["decisions"][1]["tokens"] == 8
    del sparse.cross_report  # as after loading: what the plans say
    assert [layer.name for layer in cst.report(sparse).layers] == ["0"]
    with pytest.raises(cs.UsageError, match="not sparsified"):
        cst.report(torch.nn.Sequential())


def test_eager_calls_are_the_operator(sparse, x):
    """Eager calls skip the dispatcher; whoever watches it still sees the operator."""
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.profiler import profile

    from cross_sparse.torch._operator import goes_straight, linear

    layer = sparse[0]
    with torch.no_grad():
        assert goes_straight(x, None)
        assert torch.equal(layer(x), linear(x, layer.plan, None, 160, "gelu", True))
        with profile() as recorded:
            layer(x)
        assert any(event.name == "cross_sparse::linear" for event in recorded.events())
        assert "cross_sparse.linear" in make_fx(layer)(x).code
        assert torch.jit.trace(layer, x, check_trace=False).graph.findNode("cross_sparse::linear")
    assert not goes_straight(x.clone().requires_grad_(), None)


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


@pytest.mark.parametrize("squash", [False, True])
def test_masks_of_torch_ao(dense, x, squash):
    pruning = pytest.importorskip("torch.ao.pruning", reason="this PyTorch has no torch.ao.pruning")
    for layer in (dense[0], dense[2]):
        torch.nn.init.normal_(layer.weight)
    sparsifier = pruning.WeightNormSparsifier(sparsity_level=0.8, sparse_block_shape=(1, 4), zeros_per_block=4)
    sparsifier.prepare(dense, [{"tensor_fqn": "0.weight"}, {"tensor_fqn": "2.weight"}])
    sparsifier.step()
    if squash:
        sparsifier.squash_mask()
    else:
        assert type(dense[0]).__name__ == "ParametrizedLinear"  # the mask is applied whenever the weight is read
    with torch.no_grad():
        expected = dense(x)
        cst.sparsify(dense, tokens=(8,), keep_dense=False, measure=False)
        assert [layer.sparsity for layer in (dense[0], dense[2])] == pytest.approx([0.8, 0.8], abs=0.01)
        assert same(dense(x), expected)


def test_masks_of_a_parametrization(dense, x):
    class Mask(torch.nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.register_buffer("mask", mask)

        def forward(self, weight):
            return weight * self.mask

    torch.nn.utils.parametrize.register_parametrization(dense[0], "weight", Mask(torch.rand(160, 96) < 0.05))
    with torch.no_grad():
        expected = dense(x)
        cst.sparsify(dense, tokens=(8,), keep_dense=False, measure=False)
        assert dense[0].sparsity > 0.94 and same(dense(x), expected)


def two_four(rows, cols):
    weight = torch.randn(rows, cols)
    groups = weight.view(rows, cols // 4, 4)
    groups.scatter_(2, groups.abs().argsort(2)[..., :2], 0)
    return weight


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_two_four_at_every_batch_size(dtype):
    """What to_sparse_semi_structured is for, without rules about batch sizes."""
    torch.manual_seed(1)
    dense = torch.nn.Sequential(torch.nn.Linear(192, 96), torch.nn.ReLU(), torch.nn.Linear(96, 33)).eval()
    dense[0].weight.data, dense[2].weight.data = two_four(96, 192), two_four(33, 96)
    dense = dense.to(dtype)
    sparse = cst.sparsify(copy.deepcopy(dense), tokens=(1, 64), keep_dense=False, measure=False)
    assert "2:4" in cst.report(sparse).layers[0].structure
    with torch.no_grad():
        for batch in (0, 1, 2, 3, 7, 15, 17, 31, 33, 63, 65, 100):
            x = torch.randn(batch, 192).to(dtype)
            y = sparse(x)
            assert y.shape == (batch, 33) and y.dtype == dtype
            assert batch == 0 or same(y.float(), dense.float()(x.float()), 1e-5 if dtype == torch.float32 else 0.02)
            dense.to(dtype)
        assert sparse(torch.randn(5, 1, 3, 192).to(dtype)).shape == (5, 1, 3, 33)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_weights_in_sparse_layouts(dense, x):
    with torch.no_grad():
        expected = dense(x)
    dense[0].weight = torch.nn.Parameter(dense[0].weight.detach().to_sparse_csr(), requires_grad=False)
    cst.sparsify(dense, tokens=(8,), keep_dense=False, measure=False)
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
