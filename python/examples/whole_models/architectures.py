"""The models: true architectures with random weights, taken apart so that their blocks can be driven one by one.

A model here is a beginning (embeddings), a stack of blocks and an end. All blocks of a kind are copies of one draw of
weights and of one mask, each in memory of its own: what a step reads and multiplies is that of the true model, and only
one block has to be pruned and compiled.
"""

import copy
import dataclasses
import inspect
from collections.abc import Callable

import torch
import transformers


@dataclasses.dataclass
class Model:
    """begin(input) -> hidden states and keyword arguments of every block; end(hidden) -> output."""

    name: str
    begin: Callable
    kinds: list  # one block of each kind
    order: list  # which kind stands at each depth
    end: Callable
    heads: tuple = ()  # (key-value heads, size of a head) of a decoder

    def with_blocks(self, kinds):
        return dataclasses.replace(self, kinds=kinds)

    def stack(self):
        """The blocks, each in its own memory."""
        return [copy.deepcopy(self.kinds[kind]) for kind in self.order]


class FixedCache:
    """Keys and values of a sequence whose newest token is written at a fixed place, so that a step can be replayed."""

    def __init__(self, batch, length, heads, dtype, device):
        count, size = heads
        self.keys = torch.randn(batch, count, length, size, dtype=dtype, device=device)
        self.values = torch.randn(batch, count, length, size, dtype=dtype, device=device)
        self.place = torch.tensor([length - 1], device=device)

    def update(self, keys, values, *_, **__):
        self.keys.index_copy_(2, self.place, keys)
        self.values.index_copy_(2, self.place, values)
        return self.keys, self.values


def cache_argument(block):
    """What the block calls its cache: transformers renamed `past_key_values` to `cache`."""
    return "cache" if "cache" in inspect.signature(block.forward).parameters else "past_key_values"


def _first(output):
    return output[0] if isinstance(output, tuple) else output


def run(model, blocks, given, caches=None):
    """The whole model: blocks[i] with caches[i]."""
    hidden, words = model.begin(given)
    for depth, block in enumerate(blocks):
        more = {} if caches is None else {cache_argument(model.kinds[0]): caches[depth]}
        hidden = _first(block(hidden, **words, **more))
    return model.end(hidden)


def bert_base(layers=12, **sizes):
    config = transformers.BertConfig(num_hidden_layers=1, **sizes)
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    return Model("BERT-base", lambda ids: (bert.embeddings(ids), {}), [bert.encoder.layer[0]], [0] * layers,
                 lambda hidden: hidden)


def vit_large(layers=24, **sizes):
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, **sizes}
    vit = transformers.ViTModel(transformers.ViTConfig(num_hidden_layers=1, **sizes), add_pooling_layer=False).eval()
    inner = vit.encoder.layer if hasattr(vit, "encoder") else vit.layers
    return Model("ViT-L/16", lambda pixels: (vit.embeddings(pixels), {}), [inner[0]], [0] * layers, vit.layernorm)


def sam_huge(layers=32, **sizes):
    sizes = {"hidden_size": 1280, "num_attention_heads": 16, "mlp_dim": 5120, **sizes}
    # Of two layers the first attends in windows of 14x14, the second to the whole image.
    config = transformers.SamVisionConfig(num_hidden_layers=2, global_attn_indexes=[1], **sizes)
    sam = transformers.SamVisionModel(config).eval().vision_encoder

    def begin(pixels):
        hidden = sam.patch_embed(pixels)
        return (hidden if sam.pos_embed is None else hidden + sam.pos_embed), {}

    return Model("SAM ViT-H", begin, [sam.layers[0], sam.layers[1]],
                 [int(depth % (layers // 4) == layers // 4 - 1) for depth in range(layers)], sam.neck)


def gpt2_xl(layers=48, **sizes):
    sizes = {"n_embd": 1600, "n_head": 25, **sizes}
    config = transformers.GPT2Config(n_layer=1, **sizes)
    model = transformers.GPT2LMHeadModel(config).eval()

    def begin(given):
        ids, positions = given
        return model.transformer.wte(ids) + model.transformer.wpe(positions), {}

    return Model("GPT-2 XL", begin, [model.transformer.h[0]], [0] * layers,
                 lambda hidden: model.lm_head(model.transformer.ln_f(hidden)),
                 (config.n_head, config.n_embd // config.n_head))


def llama2_7b(layers=32, **sizes):
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32,
             "vocab_size": 32000, **sizes}
    config = transformers.LlamaConfig(num_hidden_layers=1, **sizes)
    model = transformers.LlamaForCausalLM(config).eval()

    def begin(given):
        ids, positions = given
        hidden = model.model.embed_tokens(ids)
        return hidden, {"position_embeddings": model.model.rotary_emb(hidden, positions)}

    return Model("Llama-2-7B", begin, [model.model.layers[0]], [0] * layers,
                 lambda hidden: model.lm_head(model.model.norm(hidden)),
                 (config.num_key_value_heads, config.hidden_size // config.num_attention_heads))


MODELS = {"bert-base": bert_base, "vit-l16": vit_large, "sam-vit-h": sam_huge, "gpt2-xl": gpt2_xl,
          "llama-2-7b": llama2_7b}
