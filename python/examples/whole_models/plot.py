"""The rows that whole_models wrote, as one picture: speed-up of every model over sparsity.

    python python/examples/whole_models/plot.py rows.json -o speedup.svg

One panel a phase and batch, one group of bars a model, one bar a sparsity; i.i.d. zeros full, zeros by regions hatched.
Needs matplotlib.
"""

import argparse
import json

import matplotlib

matplotlib.use("svg")
import matplotlib.patches
import matplotlib.pyplot as plt

WIDTH = 0.08  # of a bar; a group has at most eleven
EXACT = "#c44e52"  # 2:4


def panels(rows):
    """(title, rows) of every phase and batch that has something to show, in order."""
    keys = sorted({(row["phase"], row["batch"]) for row in rows})
    return [(f"{phase}, batch {batch}", [row for row in rows if (row["phase"], row["batch"]) == (phase, batch)])
            for phase, batch in keys]


def draw(axis, title, rows, sparsities):
    models = list(dict.fromkeys(row["model"] for row in rows))
    slots = [("2:4", 0.5)] + [(mask, sparsity) for mask in ("uniform", "regions") for sparsity in sparsities]
    for row in rows:
        slot = slots.index((row["mask"], row["sparsity"]))
        colour = EXACT if row["mask"] == "2:4" else shade(sparsities, row["sparsity"])
        place = models.index(row["model"]) + (slot - len(slots) / 2) * WIDTH
        axis.bar(place, row["speedup"], WIDTH * 0.9, color=colour, edgecolor="white", linewidth=0.3,
                 hatch="////" if row["mask"] == "regions" else None)
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_xticks(range(len(models)), models)
    axis.set_xlim(-0.6, max(len(models), 2) - 0.4)
    axis.set_ylabel("speed-up")
    axis.set_title(title, loc="left", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)


def shade(sparsities, sparsity):
    return matplotlib.colormaps["viridis"](sparsities.index(sparsity) / len(sparsities))


def legend(figure, sparsities):
    patch = matplotlib.patches.Patch
    handles = [patch(color=shade(sparsities, sparsity), label=f"{100 * sparsity:.0f} %") for sparsity in sparsities]
    handles += [patch(facecolor="white", edgecolor="grey", hatch="////", label="by regions"), patch(color=EXACT, label="2:4")]
    figure.legend(handles=handles, loc="upper right", ncols=len(handles), fontsize=8, frameon=False)


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("rows")
    parse.add_argument("-o", "--output", required=True)
    options = parse.parse_args()
    with open(options.rows) as file:
        rows = json.load(file)
    shown = panels(rows)
    sparsities = sorted({row["sparsity"] for row in rows if row["mask"] != "2:4"})
    matplotlib.rcParams["svg.hashsalt"] = "cross"  # equal rows give an equal file
    figure, axes = plt.subplots(len(shown), 1, figsize=(9, 1.9 * len(shown)), squeeze=False, layout="constrained")
    for axis, (title, of_panel) in zip(axes[:, 0], shown):
        draw(axis, title, of_panel, sparsities)
    legend(figure, sparsities)
    figure.savefig(options.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
