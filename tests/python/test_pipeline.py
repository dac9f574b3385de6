"""The stages from arrays to products, against NumPy."""

import json
import threading

import numpy as np
import pytest

import cross_sparse as cs

ml_dtypes = pytest.importorskip("ml_dtypes")


def reference(x, weight, bias=None):
    y = x.astype(np.float64) @ weight.astype(np.float64).T
    return y if bias is None else y + bias


def close(got, expected, scale):
    return np.abs(got.astype(np.float64) - expected).max() <= scale * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("tokens", [0, 1, 5, 33])
@pytest.mark.parametrize("format", ["auto", "dense", "index8", "bitmap"])
def test_products_equal_numpy(pruned, rng, tokens, format):
    weight, bias = pruned(67, 131), rng.standard_normal(67, dtype=np.float32)
    plan = cs.compile({"fc.weight": weight, "fc.bias": bias}, tokens=(1, 32), format=format, measure=False)
    x = rng.standard_normal((tokens, 131), dtype=np.float32)
    y = cs.Session(plan).run("fc", x)
    assert y.shape == (tokens, 67) and y.dtype == np.float32
    assert tokens == 0 or close(y, reference(x, weight, bias), 1e-5)


def test_epilogue_and_out(pruned, rng):
    weight = pruned(40, 24)
    session = cs.Session(cs.compile({"fc.weight": weight}, measure=False))
    x = rng.standard_normal((3, 24), dtype=np.float32)
    out = rng.standard_normal((3, 40), dtype=np.float32)
    expected = np.maximum(reference(x, weight), 0) + out
    assert session.run("fc", x, activation="relu", residual=out, out=out) is out
    assert close(out, expected, 1e-5)


def test_bfloat16_arrays(pruned, rng):
    weight = pruned(64, 96).astype(ml_dtypes.bfloat16)
    plan = cs.compile({"fc.weight": weight}, dtype="bf16", tokens=(4,), measure=False)
    x = rng.standard_normal((4, 96), dtype=np.float32).astype(ml_dtypes.bfloat16)
    y = cs.Session(plan).run("fc", x)
    assert y.dtype == ml_dtypes.bfloat16
    assert close(y, reference(x, weight), 0.01)


def test_plans_survive_files_and_bytes(pruned, rng, tmp_path):
    plan = cs.compile({"fc.weight": pruned(32, 48)}, measure=False)
    x = rng.standard_normal((2, 48), dtype=np.float32)
    expected = cs.Session(plan).run("fc", x)
    plan.save(tmp_path / "a.plan")
    for again in (cs.Plan.load(tmp_path / "a.plan"), cs.Plan.from_bytes(plan.to_bytes()),
                  cs.Plan.from_array(np.frombuffer(plan.to_bytes(), np.uint8))):
        assert (cs.Session(again).run("fc", x) == expected).all()
    assert (tmp_path / "a.plan").read_bytes() == plan.to_bytes()


def test_sessions_may_be_shared_by_threads(pruned, rng):
    weight = pruned(128, 128)
    session = cs.Session(cs.compile({"fc.weight": weight}, measure=False), threads=1)
    x = rng.standard_normal((16, 128), dtype=np.float32)
    expected = session.run("fc", x)
    wrong = []

    def work():
        for _ in range(50):
            if not (session.run("fc", x) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_prune_inspect_verify(pruned, tmp_path):
    weight = pruned(64, 64, 0.0)
    assert cs.prune_array(weight, 0.75) == pytest.approx(0.75)
    assert (weight == 0).mean() == pytest.approx(0.75)
    np.save(tmp_path / "w.npy", pruned(64, 64, 0.0))
    layers = cs.prune(tmp_path / "w.npy", tmp_path / "p.safetensors", pattern="2:4")
    assert layers[0]["sparsity_after"] == pytest.approx(0.5)
    found = cs.inspect(tmp_path / "p.safetensors")[0]
    assert found["n_m"] == (2, 4) and found["bytes"]["dense"] == 4 * 64 * 64
    model = cs.Model.load(tmp_path / "p.safetensors")
    assert cs.verify(cs.compile(model, measure=False), model)["passed"]


def test_reports(pruned):
    plan = cs.compile({"fc.weight": pruned(64, 64)}, tokens=(1, 8), measure=False)
    assert json.dumps(cs.explain(plan))  # plain values all the way down
    assert [decision["tokens"] for decision in cs.explain(plan)["layers"][0]["tokens"]] == [1, 8]
    assert "fc" in plan.explain()
    rows = cs.bench(plan, seconds=0.01)
    assert [row["tokens"] for row in rows["total"]] == [1, 8]
    assert rows["layers"][0]["rel_error"] <= rows["layers"][0]["tolerance"]


def test_progress_is_told_and_its_errors_pass_through(pruned, monkeypatch):
    from contextlib import contextmanager

    from cross_sparse import _pipeline

    seen = []

    @contextmanager
    def listening(wanted, unit):
        yield lambda done, total, what: seen.append((done, total, what))

    monkeypatch.setattr(_pipeline, "bar", listening)
    weights = {"a.weight": pruned(8, 8), "b.weight": pruned(8, 8)}
    cs.compile(weights, measure=False)
    assert [what for _, _, what in seen] == ["a", "b"]

    @contextmanager
    def failing(wanted, unit):
        yield lambda done, total, what: 1 / 0

    monkeypatch.setattr(_pipeline, "bar", failing)
    with pytest.raises(ZeroDivisionError):
        cs.compile(weights, measure=False)
