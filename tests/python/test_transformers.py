"""Loading pruned checkpoints into Hugging Face transformers, and compiled ones."""

import json
import pathlib
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

import cross_sparse as cs  # noqa: E402
import cross_sparse.torch as cst  # noqa: E402
from cross_sparse.transformers import CrossConfig  # noqa: E402

sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50}
ids = torch.arange(10).view(1, 10)


def saved(model, folder, share=0.8):
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data[torch.rand_like(module.weight) < share] = 0
    model.eval().save_pretrained(folder)
    return model


@pytest.fixture
def llama(tmp_path):
    torch.manual_seed(2)
    config = transformers.LlamaConfig(num_key_value_heads=2, **sizes)
    return saved(transformers.LlamaForCausalLM(config), tmp_path / "pruned"), tmp_path


def config(**options):
    return CrossConfig(tokens=(8,), keep_dense=False, measure=False, **options)


def same(a, b):
    return (a - b).abs().max() <= 1e-4 * max(1.0, b.abs().max().item())


def test_a_pruned_llama_is_compiled_when_it_is_loaded(llama):
    dense, folder = llama
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "pruned", quantization_config=config())
    assert "14 of 15 layers replaced" in str(cst.report(model)) and isinstance(model.lm_head, torch.nn.Linear)
    assert isinstance(model.model.layers[0].self_attn.q_proj, cst.SparsePart)
    with torch.no_grad():
        assert same(model(ids).logits, dense(ids).logits)
        assert torch.equal(model.generate(ids, max_new_tokens=5, do_sample=False),
                           dense.generate(ids, max_new_tokens=5, do_sample=False))


def test_compiled_models_survive_folders(llama, monkeypatch):
    dense, folder = llama
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "pruned", quantization_config=config())
    model.save_pretrained(folder / "compiled")
    described = json.loads((folder / "compiled" / "config.json").read_text())["quantization_config"]
    assert described["quant_method"] == "cross" and len(described["layout"]["layers"]) == 2 * 4

    monkeypatch.setattr(cst, "sparsify", lambda *_, **__: pytest.fail("compiled again"))
    again = transformers.AutoModelForCausalLM.from_pretrained(folder / "compiled")
    for first, second in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert first[0] == second[0] and torch.equal(first[1], second[1])
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits)
    assert len(cst.report(again).layers) == 8
    again.save_pretrained(folder / "twice")  # and once more
    with torch.no_grad():
        third = transformers.AutoModelForCausalLM.from_pretrained(folder / "twice")
        assert torch.equal(third(ids).logits, model(ids).logits)


def test_a_bert_with_its_activations(tmp_path):
    torch.manual_seed(2)
    dense = saved(transformers.BertModel(transformers.BertConfig(**sizes)), tmp_path / "pruned")
    model = transformers.AutoModel.from_pretrained(tmp_path / "pruned", quantization_config=config())
    model.save_pretrained(tmp_path / "compiled")
    again = transformers.AutoModel.from_pretrained(tmp_path / "compiled")
    intermediate = again.encoder.layer[0].intermediate
    assert intermediate.dense.activation == "gelu" and isinstance(intermediate.intermediate_act_fn, torch.nn.Identity)
    with torch.no_grad():
        expected = dense(ids).last_hidden_state
        assert same(model(ids).last_hidden_state, expected) and same(again(ids).last_hidden_state, expected)


def test_tied_embeddings_stay_dense(tmp_path):
    torch.manual_seed(2)
    made = transformers.LlamaConfig(num_key_value_heads=2, tie_word_embeddings=True, **sizes)
    dense = saved(transformers.LlamaForCausalLM(made), tmp_path / "pruned")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "pruned", quantization_config=config())
    model.save_pretrained(tmp_path / "compiled")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "compiled")
    assert again.lm_head.weight is again.model.embed_tokens.weight
    with torch.no_grad():
        assert same(again(ids).logits, dense(ids).logits)


def test_bfloat16(llama):
    _, folder = llama
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "pruned", dtype=torch.bfloat16,
                                                              quantization_config=config())
    dense = transformers.AutoModelForCausalLM.from_pretrained(folder / "pruned", dtype=torch.bfloat16)
    model.save_pretrained(folder / "compiled")
    again = transformers.AutoModelForCausalLM.from_pretrained(folder / "compiled", dtype=torch.bfloat16)
    with torch.no_grad():
        expected = dense(ids).logits.float()
        assert (again(ids).logits.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_options_reach_sparsify(llama):
    _, folder = llama
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder / "pruned", quantization_config=config(include="*mlp*", exclude="*.1.*", fuse=False))
    assert sorted(layer.name for layer in cst.report(model).replaced) == [
        f"model.layers.0.mlp.{name}_proj" for name in ("down", "gate", "up")]


def test_mistakes(llama):
    _, folder = llama
    with pytest.raises(TypeError, match="token"):
        CrossConfig(token=1)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "pruned", quantization_config=config())
    model.save_pretrained(folder / "compiled")
    path = folder / "compiled" / "config.json"
    good = json.loads(path.read_text())

    def loading(change):
        described = json.loads(json.dumps(good))
        change(described["quantization_config"]["layout"])
        path.write_text(json.dumps(described))
        return transformers.AutoModelForCausalLM.from_pretrained(folder / "compiled")

    with pytest.raises(cs.InputError, match="no version 1"):
        loading(lambda layout: layout.update(version=2))
    with pytest.raises(cs.InputError, match="damaged or of another model.*nowhere"):
        loading(lambda layout: layout["layers"][0].update(modules=["model.nowhere"], sizes=[128]))
    with pytest.raises(cs.InputError, match="do not make"):
        loading(lambda layout: layout["layers"][0].update(sizes=[1, 2, 3]))
    with pytest.raises(cs.InputError, match="'plan'"):
        loading(lambda layout: layout["layers"][0].pop("plan"))


def test_the_example(llama):
    _, folder = llama
    example = pathlib.Path(__file__).parents[2] / "python" / "examples" / "hugging_face.py"
    run = subprocess.run([sys.executable, example, folder / "pruned"], capture_output=True, text=True)
    assert run.returncode == 0 and "layers replaced" in run.stdout, run.stderr
