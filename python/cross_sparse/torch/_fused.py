"""What stands where layers stood, beside `SparseLinear`: parts of one product, 1x1 convolutions."""

from __future__ import annotations

import torch


class SparsePart(torch.nn.Module):
    """Some of the outputs of a fused plan: what `q_proj` is once query, key and value are one product.

    The first part that is called with an x computes the product of all; the others, called with the same x, take theirs
    from it, and the last one lets it go. A part that is called alone, or with another x, computes the product for itself:
    slower, and as right.

    The first part of a group holds the fused layer as its child ``fused``; the others only refer to it, so that
    `state_dict` keeps it once.

    Shape: x (*, in_features) -> (*, out_features), a view into the product of all parts.
    """

    def __init__(self, fused, begin, out_features, index, parts, common):
        """The outputs [begin, begin + out_features) of the `SparseLinear` fused, part `index` of `parts`."""
        super().__init__()
        if index == 0:
            self.fused = fused
        self._fused = (fused,)  # in a tuple it is no child
        self._round = common
        self._bit, self._all = 1 << index, (1 << parts) - 1
        self.begin, self.in_features, self.out_features = begin, fused.in_features, out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # One read and one write of `last`: other threads may run the same module.
        last = self._round.last
        version = 0 if torch.compiler.is_compiling() or x.is_inference() else x._version
        if last is not None and last[0] is x and last[1] == version and not last[3] & self._bit:
            y, taken = last[2], last[3] | self._bit
        else:
            y, taken = self._fused[0](x), self._bit
        self._round.last = None if taken == self._all else (x, version, y, taken)
        return y.narrow(-1, self.begin, self.out_features)

    @property
    def weight(self) -> torch.Tensor:
        """Empty, with the dtype and device of the plan: for code that asks a layer for those."""
        return self._fused[0].weight

    def extra_repr(self):
        return f"outputs {self.begin} to {self.begin + self.out_features} of {self._fused[0].name}"


class Round:
    """What the parts of a group share while they are called in turn: (x, its version, product, parts that took theirs).
    Copies start without it."""

    def __init__(self):
        self.last = None

    def __deepcopy__(self, memo):
        return Round()

    def __reduce__(self):
        return (Round, ())


def parts_of(fused, sizes):
    """The parts of a `SparseLinear` whose outputs are those of layers with `sizes` outputs, one after the other."""
    common, begin, made = Round(), 0, []
    for index, size in enumerate(sizes):
        made.append(SparsePart(fused, begin, size, index, len(sizes), common))
        begin += size
    return made


class Pointwise(torch.nn.Module):
    """A 1x1 convolution by a sparse layer: (N, C, H, W) -> channels last -> (N, C', H, W)."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return self.linear(x.movedim(-3, -1)).movedim(-1, -3)
