"""cross_sparse.torch on a GPU: products against PyTorch in float64, graphs, streams, memory."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import cross_sparse as cs  # noqa: E402
import cross_sparse.torch as cst  # noqa: E402

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU"),
    pytest.mark.skipif(not cs.cuda_devices(), reason="cross_sparse was built without CUDA, or sees no GPU"),
]


def model_of(dtype, sparsity=0.7, width=512):
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(width, 2 * width), torch.nn.GELU(),
                                torch.nn.Linear(2 * width, width)).eval()
    for layer in (model[0], model[2]):
        layer.weight.data[torch.rand_like(layer.weight) < sparsity] = 0
    return model.to("cuda", dtype)


def sparse_of(model, tokens=(1, 8), **options):
    return cst.sparsify(copy.deepcopy(model), tokens=tokens, keep_dense=False, **options)


def close(got, dense, x):
    """Against float64 on the same weights; layers in between round to the dtype."""
    expected = copy.deepcopy(dense).double()(x.double())
    return (got.double() - expected).abs().max() <= 0.02 * expected.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tokens", [1, 3, 8, 64, 300])
def test_products(dtype, tokens):
    dense = model_of(dtype)
    sparse = sparse_of(dense, tokens=(1, 8, 256))
    x = torch.randn(tokens, 512, device="cuda", dtype=dtype)
    with torch.inference_mode():
        y = sparse(x)
    assert y.shape == (tokens, 512) and close(y, dense, x)
    assert sparse[0].activation == "gelu"


def test_float32():
    dense = model_of(torch.float32)
    x = torch.randn(5, 512, device="cuda")
    with torch.inference_mode():
        assert close(sparse_of(dense)(x), dense, x)


def test_weights_stay_in_the_plan_tensor():
    dense = model_of(torch.bfloat16, 0.8, 2048)
    sparse = sparse_of(dense, tokens=(1,))
    x = torch.randn(1, 2048, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        sparse(x)
    from cross_sparse.torch._operator import ready

    for layer in (sparse[0], sparse[2]):
        if layer.explain()["tokens"][0]["candidate"].startswith("dense"):
            continue
        assert ready(layer.plan).session.device_bytes < layer.packed_bytes / 10


def test_no_copy_of_the_weights_stays_on_the_host():
    def resident():
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    sparse = sparse_of(model_of(torch.bfloat16, 0.5, 4096), tokens=(1,), measure=False)
    x = torch.randn(1, 4096, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        sparse_of(model_of(torch.bfloat16))(x[:, :512])  # libraries are loaded
        before = resident()
        sparse(x)
    assert sparse[0].packed_bytes + sparse[2].packed_bytes > 60e6
    assert resident() - before < 40e6


@pytest.mark.parametrize("tokens", [1, 300])
def test_cuda_graph(tokens):
    dense = model_of(torch.bfloat16)
    sparse = sparse_of(dense, tokens=(1, 256))
    x = torch.randn(tokens, 512, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                sparse(x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = sparse(x)
        for seed in range(3):
            torch.manual_seed(seed)
            x.copy_(torch.randn_like(x))
            graph.replay()
            torch.cuda.synchronize()
            assert close(y, dense, x)


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compile(mode):
    dense = model_of(torch.bfloat16)
    compiled = torch.compile(sparse_of(dense), fullgraph=True, mode=mode)
    with torch.inference_mode():
        for _ in range(4):
            x = torch.randn(8, 512, device="cuda", dtype=torch.bfloat16)
            assert close(compiled(x).clone(), dense, x)


def test_streams():
    dense = model_of(torch.bfloat16)
    sparse = sparse_of(dense)
    inputs = [torch.randn(8, 512, device="cuda", dtype=torch.bfloat16) for _ in range(4)]
    torch.cuda.synchronize()
    streams, outputs = [torch.cuda.Stream() for _ in inputs], []
    with torch.inference_mode():
        for _ in range(20):
            outputs = []
            for stream, x in zip(streams, inputs):
                with torch.cuda.stream(stream):
                    outputs.append(sparse(x))
        torch.cuda.synchronize()
        assert all(close(y, dense, x) for x, y in zip(inputs, outputs))


def test_eager_calls_are_the_operator():
    from cross_sparse.torch._operator import goes_straight, linear

    layer = sparse_of(model_of(torch.bfloat16))[0]
    for tokens in (1, 8, 70):
        x = torch.randn(tokens, 512, device="cuda", dtype=torch.bfloat16)
        with torch.inference_mode():
            assert goes_straight(x, None)
            assert torch.equal(layer(x), linear(x, layer.plan, None, 1024, "gelu", True))


def test_opcheck():
    from cross_sparse.torch._operator import linear

    sparse = sparse_of(model_of(torch.bfloat16))
    x = torch.randn(3, 512, device="cuda", dtype=torch.bfloat16)
    torch.library.opcheck(linear, (x, sparse[0].plan, None, 1024, "gelu", True))


def test_state_dict_round_trip(tmp_path):
    from safetensors.torch import load_file, save_file

    dense = model_of(torch.bfloat16)
    sparse = sparse_of(dense)
    save_file(sparse.state_dict(), tmp_path / "s.safetensors")
    other = sparse_of(model_of(torch.bfloat16, 0.9))
    other.load_state_dict(load_file(tmp_path / "s.safetensors"))
    x = torch.randn(4, 512, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        assert torch.equal(other(x), sparse(x))


def test_two_four_at_every_batch_size():
    torch.manual_seed(1)
    dense = torch.nn.Sequential(torch.nn.Linear(512, 512, bias=False)).eval().to("cuda", torch.bfloat16)
    weight = dense[0].weight.data.view(512, 128, 4)
    weight.scatter_(2, weight.abs().argsort(2)[..., :2], 0)
    sparse = sparse_of(dense, tokens=(1, 64))
    with torch.inference_mode():
        for tokens in (1, 2, 7, 16, 33, 100):
            x = torch.randn(tokens, 512, device="cuda", dtype=torch.bfloat16)
            assert close(sparse(x), dense, x)


def test_weights_of_to_sparse_semi_structured():
    torch.manual_seed(1)
    dense = torch.nn.Sequential(torch.nn.Linear(512, 512, bias=False)).eval().to("cuda", torch.bfloat16)
    weight = dense[0].weight.data.view(512, 128, 4)
    weight.scatter_(2, weight.abs().argsort(2)[..., :2], 0)
    theirs = copy.deepcopy(dense)
    try:
        theirs[0].weight = torch.nn.Parameter(torch.sparse.to_sparse_semi_structured(theirs[0].weight.data))
    except Exception as error:
        pytest.skip(f"this PyTorch cannot: {error}")
    cst.sparsify(theirs, tokens=(1, 64), keep_dense=False)
    with torch.inference_mode():
        for tokens in (1, 7, 33):
            x = torch.randn(tokens, 512, device="cuda", dtype=torch.bfloat16)
            assert close(theirs(x), dense, x)


def test_mistakes():
    with torch.inference_mode(), pytest.raises(cs.UsageError, match="x is on cpu and the layer's plan on cuda"):
        sparse_of(model_of(torch.bfloat16))[0](torch.randn(1, 512, dtype=torch.bfloat16))
    sparse = sparse_of(model_of(torch.bfloat16))
    with torch.inference_mode():
        with pytest.raises(cs.UsageError, match="x is float16 with 512 features"):
            sparse(torch.randn(1, 512, device="cuda", dtype=torch.float16))
    moved = copy.deepcopy(sparse).cpu()
    with torch.inference_mode(), pytest.raises(cs.UsageError, match="compiled for cuda, but its plan lies on cpu"):
        moved(torch.randn(1, 512, dtype=torch.bfloat16))


def llama(dtype=torch.bfloat16):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        hidden_size=512, intermediate_size=1024, num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=4,
        vocab_size=128)).eval()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            module.weight.data[torch.rand_like(module.weight) < 0.7] = 0
    return model.to("cuda", dtype)


@pytest.mark.parametrize("mode", ["eager", "default", "reduce-overhead"])
def test_fused_projections_of_a_llama(mode):
    dense = llama()
    sparse = sparse_of(dense, exclude="lm_head")
    assert sparse.model.layers[0].self_attn.q_proj.fused.out_features == 1024
    assert sparse.model.layers[1].mlp.gate_proj.fused.out_features == 2048
    run = sparse if mode == "eager" else torch.compile(sparse, fullgraph=True, mode=mode)
    ids = torch.arange(8, device="cuda").view(1, 8)
    exact = copy.deepcopy(dense).double()
    with torch.inference_mode():
        for _ in range(3):
            expected, got = exact(ids, use_cache=False).logits, run(ids, use_cache=False).logits.double()
            assert (got - expected).abs().max() <= 0.05 * expected.abs().max()
            ids = ids + 3


def test_transformers_load_and_save(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="device_map needs accelerate")
    from cross_sparse.transformers import CrossConfig

    dense = llama()
    dense.save_pretrained(tmp_path / "pruned")
    load = transformers.AutoModelForCausalLM.from_pretrained
    sparse = load(tmp_path / "pruned", device_map="cuda", dtype=torch.bfloat16,
                  quantization_config=CrossConfig(tokens=(1, 8), keep_dense=False, measure=False))
    sparse.save_pretrained(tmp_path / "compiled")
    again = load(tmp_path / "compiled", device_map="cuda", dtype=torch.bfloat16)
    ids = torch.arange(8, device="cuda").view(1, 8)
    with torch.inference_mode():
        expected, got = dense(ids).logits.float(), sparse(ids).logits.float()
        assert (got - expected).abs().max() <= 0.05 * expected.abs().max()
        assert torch.equal(again(ids).logits.float(), got)
        assert again.generate(ids, max_new_tokens=4, do_sample=False).shape == (1, 12)


def test_fused_projections_in_a_cuda_graph():
    dense = llama()
    sparse = sparse_of(dense, exclude="lm_head")
    ids = torch.arange(8, device="cuda").view(1, 8)
    with torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                sparse(ids, use_cache=False)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = sparse(ids, use_cache=False).logits
        for step in range(3):
            ids.add_(step)
            graph.replay()
            expected = dense(ids, use_cache=False).logits.float()
            assert (logits.float() - expected).abs().max() <= 0.05 * expected.abs().max()


def test_activation_of_an_mlp():
    class Mlp(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.act, self.fc2 = torch.nn.Linear(512, 1024), torch.nn.GELU(), torch.nn.Linear(1024, 512)

        def forward(self, x):
            return self.fc2(self.act(self.fc1(x)))

    torch.manual_seed(1)
    dense = torch.nn.Sequential(Mlp()).eval().to("cuda", torch.bfloat16)
    for layer in (dense[0].fc1, dense[0].fc2):
        layer.weight.data[torch.rand_like(layer.weight) < 0.8] = 0
    sparse = sparse_of(dense)
    assert sparse[0].fc1.activation == "gelu"
    x = torch.randn(7, 512, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        assert close(sparse(x), dense, x)
