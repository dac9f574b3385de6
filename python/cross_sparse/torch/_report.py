"""What was done to a model, layer by layer, for people and as data."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class Decision:
    """How a layer runs at a token count, and against what."""

    tokens: int
    kernel: str  #: "bitmap decode", "dense cublaslt", ...
    dense: str  #: the dense library that it was compared with
    predicted_us: float | None
    measured_us: float | None  #: None where compile did not measure
    dense_predicted_us: float | None
    dense_measured_us: float | None
    speedup: float | None  #: dense time over ours; of measured times where there are any
    rejected: dict[str, str]  #: other candidates -> why not

    def __str__(self) -> str:
        ours, dense, how = self.measured_us, self.dense_measured_us, "measured"
        if ours is None or dense is None:
            ours, dense, how = self.predicted_us, self.dense_predicted_us, "predicted"
        text = f"{self.tokens} {'token' if self.tokens == 1 else 'tokens'}: {self.kernel}"
        if ours is not None and dense is not None:
            text += f", {ours:.1f} us against {dense:.1f} us ({self.dense}, {how}): {dense / ours:.2f}x"
        return text


@dataclasses.dataclass
class LayerReport:
    """One layer, or several that were fused: what became of it, and why."""

    name: str
    shape: tuple[int, ...]  #: (outputs, inputs)
    replaced: bool
    reason: str
    parts: tuple[str, ...] = ()  #: names of the layers fused into one, () for a single layer
    activation: str = "none"  #: computed with the product
    sparsity: float | None = None  #: None for a layer that was not looked at
    structure: str = ""  #: of the mask: "uniform", "varies by row", "2:4", ...
    formats: dict[str, float] = dataclasses.field(default_factory=dict)  #: format -> share of the weight's area
    decisions: list[Decision] = dataclasses.field(default_factory=list)  #: one `Decision` per token count
    dense_bytes: int = 0
    packed_bytes: int = 0

    @property
    def speedups(self) -> dict[int, float | None]:
        """tokens -> dense time over ours"""
        return {decision.tokens: decision.speedup for decision in self.decisions}

    def describe(self, plan: Any, explained: dict[str, Any]) -> None:
        """Fills in what a `cross_sparse.Plan` of one layer, and its explanation, say."""
        layer = explained["layers"][0]
        self.structure = layer["structure"]
        self.formats = {share["format"]: share["share"] for share in layer["copies"][0]["formats"]}
        self.dense_bytes, self.packed_bytes = plan.layers[0]["dense_bytes"], plan.layers[0]["bytes"]
        for entry in layer["tokens"]:
            times = {key: entry[key] or None for key in ("predicted_us", "measured_us", "dense_predicted_us",
                                                         "dense_measured_us", "speedup")}
            rejected = {other["name"]: other["reason"] for other in entry["rejected"]}
            self.decisions.append(Decision(entry["tokens"], entry["kernel"], entry["dense"], rejected=rejected, **times))

    def __str__(self) -> str:
        text = "sparse" if self.replaced else "dense "
        text += "        " if self.sparsity is None else f" {100 * self.sparsity:5.1f} %"
        text += f"  {self.name} {tuple(self.shape)}"
        if self.replaced:
            formats = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.formats.items())
            text += f": {formats}; {self.dense_bytes / 1e6:.2f} -> {self.packed_bytes / 1e6:.2f} MB"
        if self.reason:
            text += f"; {self.reason}" if self.replaced else f": {self.reason}"
        return "\n".join([text, *(f"    {decision}" for decision in self.decisions)])


@dataclasses.dataclass
class Report:
    """`layers`: one `LayerReport` per linear layer of the model, those left dense included."""

    layers: list[LayerReport] = dataclasses.field(default_factory=list)

    @property
    def replaced(self) -> list[LayerReport]:
        return [layer for layer in self.layers if layer.replaced]

    def to_dict(self) -> dict[str, Any]:
        """Plain values all the way down, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        count = sum(len(layer.parts) or 1 for layer in self.layers)
        replaced = sum(len(layer.parts) or 1 for layer in self.replaced)
        head = (f"{replaced} of {count} layers replaced, {sum(layer.dense_bytes for layer in self.replaced) / 1e6:.1f} -> "
                f"{sum(layer.packed_bytes for layer in self.replaced) / 1e6:.1f} MB")
        return "\n".join([head, *(f"  {line}" for layer in self.layers for line in str(layer).split("\n"))])
