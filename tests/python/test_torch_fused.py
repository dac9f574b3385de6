"""Layers that share an input as one product, and activations computed with a product, in whole models on the CPU."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import cross_sparse as cs  # noqa: E402
import cross_sparse.torch as cst  # noqa: E402


def pruned(model, share=0.8):
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D":
            module.weight.data[torch.rand_like(module.weight) < share] = 0
    return model.eval()


def sparse_of(model, **options):
    return cst.sparsify(copy.deepcopy(model), tokens=(8,), keep_dense=False, measure=False, progress=False, **options)


class Attention(torch.nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.q_proj = torch.nn.Linear(width, width)
        self.k_proj = torch.nn.Linear(width, 16, bias=False)
        self.v_proj = torch.nn.Linear(width, 16)
        self.o_proj = torch.nn.Linear(width, width)

    def forward(self, hidden_states):
        q, k, v = self.q_proj(hidden_states), self.k_proj(hidden_states), self.v_proj(hidden_states)
        return self.o_proj(q * torch.cat((k, v, k), -1))


class Mlp(torch.nn.Module):
    def __init__(self, act, width=48):
        super().__init__()
        self.fc1, self.act, self.drop, self.fc2 = (torch.nn.Linear(width, 80), act, torch.nn.Dropout(0.1),
                                                   torch.nn.Linear(80, width))

    def forward(self, x):
        return self.fc2(self.drop(self.act(self.fc1(x))))


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.mlp = Attention(), Mlp(torch.nn.GELU(approximate="tanh"))

    def forward(self, x):
        return self.mlp(self.attention(x))


@pytest.fixture
def dense():
    torch.manual_seed(3)
    return pruned(torch.nn.Sequential(Block(), Block()))


@pytest.fixture
def x():
    torch.manual_seed(2)
    return torch.randn(2, 5, 48)


def same(a, b, scale=1e-5):
    return (a - b).abs().max() <= scale * max(1.0, b.abs().max().item())


def test_projections_become_one_product(dense, x):
    sparse = sparse_of(dense)
    fused = sparse[0].attention.q_proj.fused
    assert fused.out_features == 80 and fused.has_bias  # k_proj's is zero
    assert isinstance(sparse[0].attention.v_proj, cst.SparsePart)
    assert isinstance(sparse[0].attention.o_proj, cst.SparseLinear)
    with torch.inference_mode():
        assert same(sparse(x), dense(x))
    reported = cst.report(sparse).layers[0]
    assert reported.name == "0.attention.q_proj+k_proj+v_proj" and reported.shape == (80, 48)
    assert "12 of 12 layers replaced" in str(cst.report(sparse))


def test_one_product_serves_all_parts(dense, x):
    sparse, calls = sparse_of(dense), []
    attention = sparse[0].attention
    attention.q_proj.fused.register_forward_hook(lambda *_: calls.append(1))
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            here = x.clone()
            for _ in range(3):
                attention(here)
            assert len(calls) == 3
            calls.clear()
    assert attention.q_proj._round.last is None  # nothing is kept


def test_parts_on_their_own(dense, x):
    sparse, attention = sparse_of(dense)[0].attention, dense[0].attention
    other = torch.randn(2, 5, 48)
    with torch.no_grad():
        assert same(sparse.k_proj(x), attention.k_proj(x))
        assert same(sparse.k_proj(other), attention.k_proj(other))  # another input
        assert same(sparse.q_proj(x), attention.q_proj(x))
        assert same(sparse.q_proj(x), attention.q_proj(x))  # the same one twice
        x.mul_(2)  # the same tensor, other values
        assert same(sparse.v_proj(x), attention.v_proj(x))


def test_opt_out(dense, x):
    sparse = sparse_of(dense, fuse=False)
    assert isinstance(sparse[0].attention.q_proj, cst.SparseLinear)
    assert sparse[0].mlp.fc1.activation == "none"
    with torch.no_grad():
        assert same(sparse(x), dense(x))


def test_unlike_layers_stay_apart(dense):
    dense[0].attention.k_proj.weight.data[torch.rand(16, 48) < 0.9] = 0
    dense[1].attention.v_proj.weight.data.normal_()
    sparse = sparse_of(dense)
    assert isinstance(sparse[0].attention.q_proj, cst.SparseLinear)
    assert isinstance(sparse[1].attention.v_proj, torch.nn.Linear)
    assert isinstance(sparse[1].attention.q_proj, cst.SparseLinear)


def test_cross_attention_stays_apart():
    class CrossAttention(Attention):
        pass

    class WithContext(Attention):
        def forward(self, query, key, value):
            return self.q_proj(query), self.k_proj(key), self.v_proj(value)

    model = pruned(torch.nn.ModuleDict({"a": CrossAttention(), "b": WithContext(), "encoder_attn": Attention(),
                                        "self_attn": Attention()}))
    sparse = sparse_of(model)
    fused = [name for name, module in sparse.items() if isinstance(module.q_proj, cst.SparsePart)]
    assert fused == ["self_attn"]


def test_activation_of_an_mlp(dense, x):
    sparse = sparse_of(dense)
    assert sparse[0].mlp.fc1.activation == "gelu_tanh" and isinstance(sparse[0].mlp.act, torch.nn.Identity)
    assert sparse[0].mlp.fc2.activation == "none"


@pytest.mark.parametrize("act, name", [(torch.nn.ReLU(), "relu"), (torch.nn.SiLU(), "silu"), (torch.nn.GELU(), "gelu"),
                                       (torch.nn.Tanh(), "none"), (torch.nn.PReLU(), "none"),
                                       (torch.nn.LeakyReLU(), "none"), (torch.nn.Dropout(), "none")])
def test_activations_are_known_by_their_values(act, name, x):
    dense = pruned(torch.nn.Sequential(Mlp(act)))
    sparse = sparse_of(dense)
    assert sparse[0].fc1.activation == name
    with torch.no_grad():
        assert same(sparse(x), dense(x))


def test_activations_elsewhere_are_left_alone(x):
    class Twice(Mlp):
        def forward(self, x):
            return self.act(self.fc2(self.act(self.fc1(x))))

    class Beside(Mlp):
        def forward(self, x):
            y = self.fc1(x)
            return self.fc2(self.act(y) + y)

    class Weight(Mlp):
        def forward(self, x):
            return self.fc2(self.act(self.fc1(x))) * self.fc1.weight.shape[0]

    for kind in (Twice, Beside, Weight):
        dense = pruned(torch.nn.Sequential(kind(torch.nn.ReLU())))
        sparse = sparse_of(dense)
        assert sparse[0].fc1.activation == sparse[0].fc2.activation == "none"
        if kind is not Weight:
            with torch.no_grad():
                assert same(sparse(x), dense(x))


def test_compile_fullgraph(dense, x):
    sparse = sparse_of(dense)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    with torch.no_grad():
        assert same(torch.compile(sparse, fullgraph=True, backend="aot_eager")(x), dense(x))
        torch._dynamo.reset()
        compiled = torch.compile(sparse, fullgraph=True, backend=backend)
        for _ in range(3):
            assert same(compiled(x.clone()), dense(x))
    assert len(graphs) == 1  # compiled once
    products = [node for node in graphs[0].graph.nodes if node.target is torch.ops.cross_sparse.linear.default]
    assert len(products) == 2 * 4  # of each block: q+k+v, o, fc1, fc2


@pytest.mark.parametrize("strict", [False, True])
def test_export(dense, x, strict):
    sparse = sparse_of(dense)
    with torch.no_grad():
        exported = torch.export.export(sparse, (x,), strict=strict)
        assert same(exported.module()(x), dense(x))
    products = [node for node in exported.graph.nodes if node.target is torch.ops.cross_sparse.linear.default]
    assert len(products) == 2 * 4


def test_state_dict_and_copies(dense, x, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    sparse = sparse_of(dense)
    assert [key for key in sparse.state_dict() if "0.attention" in key] == ["0.attention.q_proj.fused.plan",
                                                                           "0.attention.o_proj.plan"]
    safetensors.save_file(sparse.state_dict(), tmp_path / "s.safetensors")
    other = sparse_of(pruned(torch.nn.Sequential(Block(), Block()), 0.7))
    other.load_state_dict(safetensors.load_file(tmp_path / "s.safetensors"))
    copied = copy.deepcopy(sparse)
    assert copied[0].attention.k_proj._fused[0] is copied[0].attention.q_proj.fused
    assert copied[0].attention.q_proj.fused is not sparse[0].attention.q_proj.fused
    torch.save(sparse, tmp_path / "whole.pt")
    again = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert again[0].attention.k_proj._fused[0] is again[0].attention.q_proj.fused
    with torch.no_grad():
        for model in (other, copied, again):
            assert same(model(x), dense(x))


def llama(kind="Llama"):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = getattr(transformers, kind + "Config")(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=50)
    return pruned(getattr(transformers, kind + "ForCausalLM")(config)), torch.arange(10).view(1, 10)


@pytest.mark.parametrize("kind", ["Llama", "Mistral", "Qwen2"])
def test_decoders_of_transformers(kind):
    dense, ids = llama(kind)
    sparse = sparse_of(dense)
    layer = sparse.model.layers[0]
    assert layer.self_attn.q_proj.fused.out_features == 128 and layer.mlp.gate_proj.fused.out_features == 192
    with torch.no_grad():
        expected = dense(ids).logits
        assert same(sparse(ids).logits, expected, 1e-4)
        assert same(torch.compile(sparse, fullgraph=True, backend="aot_eager")(ids).logits, expected, 1e-4)
        assert torch.equal(sparse.generate(ids, max_new_tokens=5, do_sample=False),
                           dense.generate(ids, max_new_tokens=5, do_sample=False))


def test_gate_takes_its_activation_where_it_stands_alone():
    dense, ids = llama()
    for layer in dense.model.layers:
        layer.mlp.up_proj.weight.data.normal_()  # stays dense
    sparse = sparse_of(dense)
    assert sparse.model.layers[0].mlp.gate_proj.activation == "silu"
    with torch.no_grad():
        assert same(sparse(ids).logits, dense(ids).logits, 1e-4)


def test_encoders_of_transformers():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    bert = pruned(transformers.BertModel(transformers.BertConfig(vocab_size=50, **sizes)))
    vit = pruned(transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **sizes)))
    for dense, given in ((bert, torch.arange(10).view(1, 10)), (vit, torch.randn(1, 3, 32, 32))):
        sparse = sparse_of(dense)
        assert sum(isinstance(module, cst.SparsePart) for module in sparse.modules()) == 6
        assert sum(getattr(module, "activation", "") == "gelu" for module in sparse.modules()) == 2
        with torch.no_grad():
            expected = dense(given).last_hidden_state
            assert same(sparse(given).last_hidden_state, expected, 1e-4)
            compiled = torch.compile(sparse, fullgraph=True, backend="aot_eager")
            assert same(compiled(given).last_hidden_state, expected, 1e-4)


def test_gpt2_and_opt():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    gpt2 = pruned(transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=50)))
    opt = pruned(transformers.OPTForCausalLM(transformers.OPTConfig(
        hidden_size=64, ffn_dim=96, num_hidden_layers=2, num_attention_heads=4, vocab_size=50, word_embed_proj_dim=64)))
    ids = torch.arange(10).view(1, 10)
    for dense, activation in ((gpt2, "gelu_tanh"), (opt, "relu")):
        sparse = sparse_of(dense)
        assert sum(getattr(module, "activation", "") == activation for module in sparse.modules()) == 2
        with torch.no_grad():
            assert same(sparse(ids).logits, dense(ids).logits, 1e-4)
    assert isinstance(sparse.model.decoder.layers[0].self_attn.k_proj, cst.SparsePart)


def test_a_part_cannot_be_sparsified_again(dense):
    with pytest.raises(cs.UsageError, match="inside a model"):
        cst.sparsify(sparse_of(dense)[0].attention.q_proj)
