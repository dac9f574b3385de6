"""The rows that whole_models wrote, as Markdown: speed-up over sparsity, a line per model, phase and mask.

    python python/examples/whole_models/table.py rows.json
"""

import json
import sys


def cell(row):
    return "dense" if row["dense"] else f"{row['speedup']:.2f}x"


def lines(rows):
    sparsities = sorted({row["sparsity"] for row in rows if row["mask"] != "2:4"})
    exact = any(row["mask"] == "2:4" for row in rows)
    heads = ["model", "input", "mask", "dense ms"] + [f"{100 * sparsity:.0f} %" for sparsity in sparsities] + ["2:4"] * exact
    yield "| " + " | ".join(heads) + " |"
    yield "|---" * len(heads) + "|"
    groups = dict.fromkeys((row["model"], row["phase"], row["batch"], row["tokens"]) for row in rows)
    for group in groups:
        of_group = [row for row in rows if (row["model"], row["phase"], row["batch"], row["tokens"]) == group]
        model, phase, batch, tokens = group
        times = [row["dense_ms"] for row in of_group if not row["dense"]]
        for mask in dict.fromkeys(row["mask"] for row in of_group if row["mask"] != "2:4"):
            found = {row["sparsity"]: row for row in of_group if row["mask"] == mask}
            last = [cell(row) for row in of_group if row["mask"] == "2:4"] if mask == "uniform" else [""]
            yield "| " + " | ".join([model, f"{phase} {batch} x {tokens}", mask,
                                     f"{min(times):.2f}" if times else ""]
                                    + [cell(found[s]) if s in found else "" for s in sparsities]
                                    + (last or [""]) * exact) + " |"
    yield ""
    yield "| weights, of dense (a bitmap's bound for the layers that were replaced) | " + " | ".join(f"{100 * s:.0f} %" for s in sparsities) + " |"
    yield "|---" * (len(sparsities) + 1) + "|"
    for model in dict.fromkeys(row["model"] for row in rows):
        found = {row["sparsity"]: row for row in rows
                 if row["model"] == model and row["phase"] == "decode" and row["mask"] == "uniform"}
        if found:
            yield f"| {model}, decode | " + " | ".join(
                f"{found[s]['sparse_bytes'] / found[s]['dense_bytes']:.3f} "
                f"({found[s]['bound_bytes'] / found[s]['dense_bytes']:.3f})" if s in found else "" for s in sparsities) + " |"


if __name__ == "__main__":
    with open(sys.argv[1]) as given:
        print("\n".join(lines(json.load(given))))
