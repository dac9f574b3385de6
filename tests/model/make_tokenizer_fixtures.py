#!/usr/bin/env python3
"""Makes what the tests of decoders' tokenisers compare with, from the reference implementations.

    VENV/bin/python tests/model/make_tokenizer_fixtures.py          (the environment of make_fixtures.py, and sentencepiece)

Writes, all below tests/model/fixtures:

    tiny_story/                     a LlamaForCausalLM with random, half pruned weights; its tokeniser is a byte-level BPE whose
                                    merges reach across words, so that every cut shows in the ids
    tiny_story.json                 what it makes of some prompts, greedily, and its perplexity on a text
    byte_pairs.json                 hostile texts; variants of that tokeniser (what they change), with ids and decoded texts
    sentence_piece/tokenizer.model  a SentencePiece BPE with byte fallback, as Llama 2 has it; with tokenizer_config.json
    sentence_piece_unigram.model    a unigram model with a table of normalisation and without bytes to fall back to
    sentence_piece.json             the same texts, with ids and decoded texts of both

The files in the repository were made with tokenizers 0.23.3, sentencepiece 0.2.3, torch 2.15.0 and transformers 5.24.0.
"""
import contextlib
import copy
import io
import json
import pathlib
import shutil
import tempfile

import sentencepiece
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from transformers import LlamaConfig, LlamaForCausalLM

from make_fixtures import HOSTILE, OUT, SENTENCES

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
          r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

TEXTS = HOSTILE + [
    "I'll, I'LL, we've WE'VE it's IT'S 'S 'ſ don'T 'd 'Re", "1 12 123 1234 12345 123456", "x1234y 3.14 1,000,000 ٣٤٥ ⅷⅨ ²³",
    "a\n\nb \n c\t\n\t d\r\n\r\ne", "   leading", "trailing   ", "a    b     c", "\n\n\n", " \n \n ", "\t\t\tcode();\n\t\t}",
    "def f(x):\n    return x**2  # comment\n", "{\"key\": [1, 2.5, null]}", "!!!???...---", "a!b?c", "#$%^&*()_+", "α+β=γ",
    "word\u00a0nbsp\u2009thin\u3000wide\u0085next\u2028line\u180evowel\u200bzero", "\x1c\x1d\x1e\x1f\x0b\x0c", "'", "''s", "’s ’ll",
    "<|begin_of_text|>", "a<|end|>b", " <|end|> ", "<|end|><|end|>", "<|end", "<|endless|>", "<|end|>less|>", "x <tool> y", "<tool>x",
    "caf\u00e9<tool>cafe\u0301", "<cafe\u0301>", "<caf\u00e9>", "e\u0301\u0323 \u1e9b\u0323 \u212b \ufb01 \uac00 \u1100\u1161",
    "🧑🏽‍🚀👨‍👩‍👧‍👦🏳️‍🌈", "🇩🇪🇫🇷🇯🇵", "\U0001f9d1", "ｗｉｄｅ　１２３", "𝕏𝖄𝔷 𝟙𝟚𝟛", "a\u0300\u0301\u0302\u0303\u0304" * 4, "ab" * 600, " " * 300,
    "\n" * 100, "é" * 200, "日本" * 150, "0" * 200, "x " * 200, "Ünïcödé ÀÉÎ", "ТЕСТ тест", "\u0e01\u0e34\u0e19 \u0e02\u0e49\u0e32\u0e27", "▁ literal ▁▁",
    "<0x41><s></s><unk>", "<s> hello </s>", "the cat sat on the mat. The Cat SAT!", "tokenization tokenizers",
]


def different(decoded):
    return [text if text != source else None for text, source in zip(decoded, TEXTS)]


def train_base():
    base = Tokenizer(models.BPE())
    # Lines only: words, spaces, digits and signs merge with each other.
    base.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("\n\n\n\n\n", "removed"),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    base.decoder = decoders.ByteLevel()
    corpus = [t for t in TEXTS if len(t) < 100 and "<" not in t] * 3 + SENTENCES
    base.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                         show_progress=False, max_token_length=8))
    return json.loads(base.to_str())


def byte_pairs():
    base = train_base()
    size = len(base["model"]["vocab"])
    # Pieces that no merge makes: found only by those who ignore merges.
    for piece in ["Ġmat", "tokenization", "ĠIT", "Ã©"]:
        base["model"]["vocab"].setdefault(piece, len(base["model"]["vocab"]))
    size = len(base["model"]["vocab"])
    token = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    base["added_tokens"] = [dict(token, id=size + i, content=c) for i, c in enumerate(["<|begin_of_text|>", "<|end|>", "<|endless|>"])]
    base["added_tokens"].append(dict(token, id=size + 3, content="<tool>", normalized=True, special=False))
    base["added_tokens"].append(dict(token, id=size + 4, content="<caf\u00e9>", normalized=True, special=False))

    def split(pattern, behavior="Isolated", invert=False):
        return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}

    def byte_level(prefix, regex):
        return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}

    def sequence(*steps):
        return {"type": "Sequence", "pretokenizers": list(steps) + [byte_level(False, False)]}

    frame = {"type": "Sequence", "processors": [
        byte_level(True, False),
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {"<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [size], "tokens": ["<|begin_of_text|>"]}}}]}
    stripped = copy.deepcopy(base["added_tokens"])
    stripped[1]["lstrip"] = stripped[1]["rstrip"] = True
    nfc = {"type": "NFC"}
    variants = {
        "gpt2": {"pre_tokenizer": byte_level(False, True), "post_processor": byte_level(True, True)},
        "gpt2_prefix": {"pre_tokenizer": byte_level(True, True)},
        "llama3": {"pre_tokenizer": sequence(split(LLAMA3)), "post_processor": frame, "model": {"ignore_merges": True}},
        "qwen2": {"normalizer": nfc, "pre_tokenizer": sequence(split(QWEN2)), "post_processor": byte_level(False, False)},
        "tekken": {"pre_tokenizer": sequence(split(TEKKEN)), "model": {"ignore_merges": True}},
        "smol": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(False, True)]}},
        "digits": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}), "added_tokens": stripped,
                   "normalizer": {"type": "Sequence", "normalizers": [nfc]}},
        "removed_inverted": {"pre_tokenizer": sequence(split(LLAMA3, "Removed", True))},
        "removed": {"pre_tokenizer": sequence(split(r"\s+", "Removed"))},
        "with_previous": {"pre_tokenizer": sequence(split(r"\p{P}", "MergedWithPrevious"))},
        "with_next": {"pre_tokenizer": sequence(split(r"\p{P}", "MergedWithNext"), split(r"[\r\n]"))},
        "contiguous": {"pre_tokenizer": sequence(split(r"\p{P}", "Contiguous"))},
        "string": {"pre_tokenizer": sequence({"type": "Split", "pattern": {"String": "..."}, "behavior": "Isolated", "invert": False})},
    }
    cases = {"texts": TEXTS, "variants": {}, "ids": {}, "decoded": {}}
    base.update(truncation=None, padding=None)
    for name, change in variants.items():
        changed = copy.deepcopy(base)
        for part, value in change.items():
            changed[part] = dict(changed[part], **value) if part == "model" else value
        tokenizer = Tokenizer.from_str(json.dumps(changed))
        ids = [tokenizer.encode(text).ids for text in TEXTS]
        cases["variants"][name] = change
        # To keep the file small: long lists for one variant only, decoded texts only where they differ.
        cases["ids"][name] = [i if len(i) <= 60 or name == "llama3" else None for i in ids]
        if name in ("llama3", "gpt2_prefix"):
            cases["decoded"][name] = different([tokenizer.decode(i) for i in ids])
    # Ids in any order: most are no text.
    order = [(i * 7919) % size for i in range(400)]
    cases["order"] = order
    cases["order_decoded"] = Tokenizer.from_str(json.dumps(base)).decode(order)

    folder = OUT / "tiny_story"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    base.update(variants["llama3"] | {"model": dict(base["model"], ignore_merges=True)})
    (folder / "tokenizer.json").write_text(json.dumps(base, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    (OUT / "byte_pairs.json").write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")


def sentence_piece():
    texts = [t for t in TEXTS if t.strip() and "\x00" not in t]
    corpus = [line for t in texts + SENTENCES for line in t.splitlines() if len(line) < 200] * 3

    def train(**options):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_writer=model, minloglevel=2, num_threads=1, **options)
        return model.getvalue()

    folder = OUT / "sentence_piece"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    llama = train(model_type="bpe", vocab_size=700, byte_fallback=True, normalization_rule_name="identity", split_digits=True,
                  remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, character_coverage=0.98)
    (folder / "tokenizer.model").write_bytes(llama)
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": True, "add_eos_token": False, "tokenizer_class": "LlamaTokenizer"}) + "\n")
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):  # the model keeps the path
        # A small table; that of NFKC has 240 KB.
        rules = [("\u00e9", "e"), ("e\u0301", "e"), ("\ufb01", "fi"), ("\uff57", "w"), ("\u3000", " ")]
        pathlib.Path("rules.tsv").write_text("".join("\t".join(" ".join(f"{ord(c):X}" for c in text) for text in rule) + "\n" for rule in rules))
        unigram = train(model_type="unigram", vocab_size=400, character_coverage=0.98, normalization_rule_tsv="rules.tsv")
    (OUT / "sentence_piece_unigram.model").write_bytes(unigram)
    cases = {"texts": TEXTS, "ids": {}, "decoded": {}}
    for name, model in {"llama": llama, "unigram": unigram}.items():
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [processor.encode(text) for text in TEXTS]
        # Of cuts with the same score up to rounding, versions of the library take different ones.
        cases["ids"][name] = [None if name == "unigram" and len(set(t)) == 1 else i for t, i in zip(TEXTS, ids)]
        if name == "llama":
            cases["decoded"][name] = different([processor.decode(i) for i in ids])
    (OUT / "sentence_piece.json").write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")


def tiny_story():
    folder = OUT / "tiny_story"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=tokenizer.get_vocab_size() + 3, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
                         initializer_range=0.35, bos_token_id=None, eos_token_id=None)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1, 0.2)
            elif "layers" in name:
                parameter.mul_(torch.rand_like(parameter) > 0.6)  # sparser than the test prunes to, which so changes nothing
            parameter.copy_(parameter.bfloat16())

    def logits(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0]

    def greedy(ids, count, ends=()):
        new = []
        while len(new) < count and len(ids) + len(new) < 64:
            best = logits(ids + new)[-1].topk(2)
            assert best.values[0] - best.values[1] > 1e-3  # rounding cannot decide
            if int(best.indices[0]) in ends:
                break
            new.append(int(best.indices[0]))
        return new

    prompts = ["The cat sat on", "", "caf\u00e9 <|end|> 日", "1234 don't\n\n"]
    free = [greedy(tokenizer.encode(p).ids, 20) for p in prompts]
    ends = [free[0][12], tokenizer.token_to_id("<|end|>")]
    story = {"prompts": prompts, "ids": [], "texts": []}
    for prompt in prompts:
        ids = tokenizer.encode(prompt).ids
        new = greedy(ids, 20, ends)
        story["ids"].append(new)
        # What follows the prompt, with characters that the prompt began.
        story["texts"].append(tokenizer.decode(ids + new)[len(tokenizer.decode(ids)):])
    text = "\n".join(SENTENCES[:6])
    ids = tokenizer.encode(text).ids
    window, stride, total = 32, 16, 0.0
    scored = 1
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        scores = torch.log_softmax(logits(ids[begin:end]).double(), -1)
        total += sum(float(scores[t - begin - 1, ids[t]]) for t in range(max(scored, begin + 1), end))
        scored = end
        if end == len(ids):
            break
    story.update(text=text, tokens=len(ids) - 1, window=window, stride=stride, nll=-total / (len(ids) - 1))
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}) + "\n")
    (OUT / "tiny_story.json").write_text(json.dumps(story, ensure_ascii=True, indent=1) + "\n")


if __name__ == "__main__":
    byte_pairs()
    tiny_story()
    sentence_piece()
