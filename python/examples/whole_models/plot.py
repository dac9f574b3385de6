"""The rows that whole_models wrote, as one picture: speed-up of every model over sparsity.

    python python/examples/whole_models/plot.py rows.json -o speedup.svg

One panel a phase and batch, one group of bars a model, one bar a sparsity; i.i.d. zeros full, zeros by regions hatched.
Needs matplotlib.
"""

import argparse
import json

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

WIDTH = 0.08  # of a bar; a group has at most eleven


def panels(rows):
    """(title, rows) of every phase and batch that has something to show, in order."""
    keys = sorted({(row["phase"], row["batch"]) for row in rows}, key=lambda key: ("decode encode prefill".index(key[0]), key[1]))
    return [(f"{phase}, batch {batch}", [row for row in rows if (row["phase"], row["batch"]) == (phase, batch)])
            for phase, batch in keys]


def draw(axis, title, rows):
    models = list(dict.fromkeys(row["model"] for row in rows))
    sparsities = sorted({row["sparsity"] for row in rows if row["mask"] != "2:4"})
    slots = [("2:4", 0.5)] + [(mask, sparsity) for mask in ("uniform", "regions") for sparsity in sparsities]
    colours = matplotlib.colormaps["viridis"]
    for row in rows:
        slot = slots.index((row["mask"], row["sparsity"]))
        colour = "#c44e52" if row["mask"] == "2:4" else colours(sparsities.index(row["sparsity"]) / max(len(sparsities), 1))
        place = models.index(row["model"]) + (slot - len(slots) / 2) * WIDTH
        axis.bar(place, row["speedup"], WIDTH * 0.9, color=colour, edgecolor="white", linewidth=0.3,
                 hatch="////" if row["mask"] == "regions" else None)
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_xticks(range(len(models)), models)
    axis.set_ylabel("speed-up over dense")
    axis.set_title(title, loc="left", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours(i / max(len(sparsities), 1))) for i in range(len(sparsities))]
    names = [f"{100 * sparsity:.0f} %" for sparsity in sparsities]
    if any(row["mask"] == "regions" for row in rows):
        handles.append(plt.Rectangle((0, 0), 1, 1, facecolor="white", edgecolor="grey", hatch="////"))
        names.append("by regions")
    if any(row["mask"] == "2:4" for row in rows):
        handles.append(plt.Rectangle((0, 0), 1, 1, color="#c44e52"))
        names.append("2:4")
    axis.legend(handles, names, fontsize=7, ncols=4, frameon=False)


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("rows")
    parse.add_argument("-o", "--output", required=True)
    options = parse.parse_args()
    with open(options.rows) as file:
        shown = panels(json.load(file))
    matplotlib.rcParams["svg.hashsalt"] = "cross"  # equal rows give an equal file
    figure, axes = plt.subplots(len(shown), 1, figsize=(9, 2.6 * len(shown)), squeeze=False)
    for axis, (title, rows) in zip(axes[:, 0], shown):
        draw(axis, title, rows)
    figure.tight_layout()
    figure.savefig(options.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
