import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def pruned(rng):
    """A function (rows, cols, sparsity) -> float32 weight with zeros of its own."""

    def make(rows, cols, sparsity=0.8):
        weight = rng.standard_normal((rows, cols), dtype=np.float32)
        weight[rng.random((rows, cols)) < sparsity] = 0
        return weight

    return make
