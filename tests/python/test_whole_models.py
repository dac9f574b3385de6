"""The program that measures whole models, on small ones on the CPU: both sides agree, and a row comes out of each."""

import json
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

PROGRAM = pathlib.Path(__file__).parents[2] / "python/examples/whole_models"


@pytest.mark.parametrize("model", ["bert-base", "vit-l16", "sam-vit-h", "gpt2-xl", "llama-2-7b"])
def test_rows(model, tmp_path):
    rows = tmp_path / "rows.json"
    ran = subprocess.run([sys.executable, PROGRAM, "--device", "cpu", "--tiny", "--layers", "4", "--eager", "--models", model,
                          "--sparsity", "0.9", "--masks", "uniform", "regions", "--json", rows],
                         capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(rows.read_text())
    settings = {(row["phase"], row["batch"], row["mask"]) for row in found}
    assert len(settings) == len(found) > 1
    assert all(row["dense"] or row["difference"] < 0.1 for row in found)
    table = subprocess.run([sys.executable, PROGRAM / "table.py", rows], capture_output=True, text=True)
    assert table.returncode == 0 and found[0]["model"] in table.stdout
