"""The plugin for vLLM, against a stand-in for the interface that vLLM documents for plugins and quantization methods.

vLLM itself is not run here: it needs a GPU and a build of PyTorch of its own.
"""

import importlib.metadata
import pathlib
import sys
import types

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import cross_sparse as cs  # noqa: E402
import cross_sparse.vllm as plugin  # noqa: E402


class Linear(torch.nn.Module):
    """How vLLM's linear layers use a method: create, load shards through the weight's loader, process, apply."""

    def __init__(self, config, prefix, inputs, outputs, bias=True, skip_bias_add=False):
        super().__init__()
        self.skip_bias_add = skip_bias_add
        self.method = config.get_quant_method(self, prefix)
        self.method.create_weights(self, inputs, outputs, inputs, sum(outputs), torch.get_default_dtype(),
                                   weight_loader=self.load)
        self.register_parameter("bias", torch.nn.Parameter(torch.randn(sum(outputs))) if bias else None)

    def load(self, parameter, loaded, offset):
        parameter.data.narrow(parameter.output_dim, offset, loaded.shape[0]).copy_(loaded)

    def forward(self, x):
        return self.method.apply(self, x, None if self.skip_bias_add else self.bias)


@pytest.fixture
def vllm(monkeypatch):
    """Modules of the names that the plugin imports, and the registered methods."""
    methods = {}

    class QuantizationConfig:
        def __init__(self):
            self.packed_modules_mapping = {}

    class LinearMethodBase:
        pass

    class UnquantizedLinearMethod(LinearMethodBase):
        pass

    def register_quantization_config(name):
        def wrapper(config):
            assert issubclass(config, QuantizationConfig) and name not in methods
            methods[name] = config
            return config

        return wrapper

    modules = {
        "layers.linear": {"LinearBase": Linear, "LinearMethodBase": LinearMethodBase,
                          "UnquantizedLinearMethod": UnquantizedLinearMethod},
        "layers.quantization": {"QUANTIZATION_METHODS": methods,
                                "register_quantization_config": register_quantization_config},
        "layers.quantization.base_config": {"QuantizationConfig": QuantizationConfig},
    }
    for name in ("vllm", "vllm.model_executor", "vllm.model_executor.layers"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, contents in modules.items():
        module = types.ModuleType("vllm.model_executor." + name)
        module.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    plugin.register()
    plugin.register()  # vLLM may call it again
    return methods


def options(**more):
    return {"quant_method": "cross", "tokens": [8], "keep_dense": False, "measure": False, **more}


def shards(sparsity):
    torch.manual_seed(1)
    made = [torch.randn(rows, 48) for rows in (64, 16, 16)]
    for shard in made:
        shard[torch.rand_like(shard) < sparsity] = 0
    return made


def loaded(layer, weights):
    for index, weight in enumerate(weights):
        layer.load(layer.weight, weight, sum(other.shape[0] for other in weights[:index]))
    layer.method.process_weights_after_loading(layer)
    return layer


@pytest.mark.parametrize("bias, skip", [(True, False), (True, True), (False, False)])
def test_a_fused_layer(vllm, bias, skip):
    config = vllm["cross"].from_config(options())
    weights, x = shards(0.8), torch.randn(2, 5, 48)
    layer = loaded(Linear(config, "model.layers.0.self_attn.qkv_proj", 48, [64, 16, 16], bias, skip), weights)
    assert layer.cross_plan.dtype == torch.uint8 and layer.weight.numel() == 0
    with torch.inference_mode():
        expected = torch.nn.functional.linear(x, torch.cat(weights), None if skip else layer.bias)
        assert (layer(x) - expected).abs().max() < 1e-4
        compiled = torch.compile(layer.forward, fullgraph=True, backend="aot_eager")
        assert (compiled(x) - expected).abs().max() < 1e-4
    assert "tokens: " in config.chosen["model.layers.0.self_attn.qkv_proj"]


def test_layers_that_stay_dense(vllm):
    config = vllm["cross"].from_config(options(exclude="lm_head"))
    layer = loaded(Linear(config, "model.layers.0.mlp", 48, [64, 16, 16]), shards(0.1))
    x = torch.randn(3, 48)
    assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
    assert "0.10 sparse" in config.chosen["model.layers.0.mlp"]
    assert type(config.get_quant_method(layer, "lm_head")).__name__ == "UnquantizedLinearMethod"
    assert config.get_quant_method(torch.nn.Embedding(2, 2), "embed_tokens") is None


def test_what_vllm_asks_a_method(vllm):
    config = vllm["cross"]()  # from a model without a quantization_config
    assert config.get_name() == "cross" and config.get_config_filenames() == [] and config.get_min_capability() == 80
    assert torch.bfloat16 in config.get_supported_act_dtypes()


def test_mistakes(vllm):
    with pytest.raises(cs.UsageError, match=r"unknown options \['token'\].*'tokens'"):
        vllm["cross"].from_config(options(token=[1]))
    with pytest.raises(cs.UsageError, match="compiled plans for transformers"):
        vllm["cross"].from_config(options(layout={"version": 1}))


def test_entry_point():
    try:
        found = importlib.metadata.distribution("cross-sparse").entry_points
    except importlib.metadata.PackageNotFoundError:
        tomllib = pytest.importorskip("tomllib", reason="Python is older than 3.11")
        with open(pathlib.Path(__file__).parents[2] / "pyproject.toml", "rb") as file:
            named = tomllib.load(file)["project"]["entry-points"]["vllm.general_plugins"]
        assert named == {"cross_sparse": "cross_sparse.vllm:register"}
    else:
        assert [point.load() for point in found if point.group == "vllm.general_plugins"] == [plugin.register]
