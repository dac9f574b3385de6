#!/usr/bin/env python3
"""Compares the tokenisers of folders with the reference's libraries: ids, decoded text, tokens per second on one core.

    VENV/bin/python bench/compare_tokenizers.py [--program build/release/bench/bench_tokenizer] --text FILE FOLDER...

FOLDER holds tokenizer.json or tokenizer.model; FILE is any UTF-8 text. VENV has tokenizers and sentencepiece.
Compared are the hostile texts of tests/model/fixtures and 3500 random ones. Exit code 1 if anything differs.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHARACTERS = ("abcABC xyz'’sS0123456789\n\r\t  .,;:!?-_()[]{}<>|/\\@#$%^&*+=~`\"éàüßñçžж中文日本語한국어กิน🙂🧑🏽‍🚀"
              "\u0301\u0323\u200d\u00a0\u2028\u1100\u1161\ufb01\u212b\u1e9b①²ⅷٱع١")
RANGES = ((0x20, 0x250), (0x370, 0x3000), (0x3000, 0xD000), (0xE000, 0xFFFF), (0x10000, 0x2FFFF))
WORDS = ("hello", "the", "I'm", "we'LL", "2024", "3.14", "<s>", "</s>", "[INST]", "[/INST]", "<|begin_of_text|>",
         "<|im_end|>", "\n\n", "  ", "naïve", "Straße", "foo_bar()", "https://a.b/c?d=e", "日本語", "Привет", "😀")


def hostile_texts():
    texts = json.loads((ROOT / "tests/model/fixtures/byte_pairs.json").read_text(encoding="utf-8"))["texts"]
    draw = random.Random(5)

    def character():
        return draw.choice(CHARACTERS) if draw.random() < 0.9 else chr(draw.randrange(*draw.choice(RANGES)))

    texts += ["".join(character() for _ in range(draw.randrange(1, 40))) for _ in range(3000)]
    texts += [draw.choice([" ", ""]).join(draw.choice(WORDS) for _ in range(draw.randrange(1, 30))) for _ in range(500)]
    return texts


def reference(folder):
    """encode and decode of the library that made the format."""
    if (folder / "tokenizer.json").exists():
        os.environ["RAYON_NUM_THREADS"] = "1"
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return (lambda text: tokenizer.encode(text).ids), tokenizer.decode
    from sentencepiece import SentencePieceProcessor
    pieces = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return (lambda text: [pieces.bos_id()] + pieces.encode(text)), pieces.decode


def lines_of(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def compare(program, folder, texts, encode, decode):
    """How many texts differ in ids, and how many in what these decode to."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        ours = lines_of(program, folder, file.name, "--ids")
    ids = [encode(text) for text in texts]
    for text, mine, theirs in zip(texts, ours, ids):
        if mine["ids"] != theirs:
            print(f"  {text[:80]!a}: {mine['ids'][:20]} instead of {theirs[:20]}")
    return (sum(mine["ids"] != theirs for mine, theirs in zip(ours, ids)),
            sum(mine["text"] != decode(theirs) for mine, theirs in zip(ours, ids)))


def speed(encode, texts):
    best = None
    for _ in range(5):
        start = time.perf_counter()
        tokens = sum(len(encode(text)) for text in texts)
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
    return tokens / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bench/bench_tokenizer"))
    parser.add_argument("--text", required=True, type=pathlib.Path)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    given = parser.parse_args()
    texts, content = hostile_texts(), given.text.read_text(encoding="utf-8")
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    failed = False
    for folder in given.folders:
        encode, decode = reference(folder)
        ids, decoded = compare(given.program, folder, texts, encode, decode)
        failed |= ids + decoded > 0
        print(f"{folder.name}: {len(texts)} texts, {ids} with other ids, {decoded} that decode otherwise")
        load, *measured = lines_of(given.program, folder, given.text)
        print(f"  load {load['seconds'] * 1e3:.0f} ms")
        for ours, cut in zip(measured, ([content], lines)):
            theirs = speed(encode, cut)
            print(f"  {ours['what']}: {ours['tokens']} tokens, {ours['tokens_per_s'] / 1e6:.2f} million/s; "
                  f"reference {theirs / 1e6:.2f} million/s ({ours['tokens_per_s'] / theirs:.2f}x)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
