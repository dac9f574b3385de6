"""CROSS in PyTorch: `sparsify` replaces a model's linear layers by compiled sparse ones.

    import torch, cross_sparse.torch as cst

    model = cst.sparsify(model.eval(), tokens=(1, 512))
    print(cst.report(model))
    with torch.inference_mode():
        y = model(x)

Inference only. `torch.compile(fullgraph=True)` and `torch.export` go through: a layer is one custom operator over plain
tensors. `state_dict` holds each plan as a uint8 tensor, so it round-trips through safetensors.
"""

from ._fused import SparsePart
from ._linear import SparseLinear
from ._report import Decision, LayerReport, Report
from ._sparsify import report, sparsify

__all__ = ["Decision", "LayerReport", "Report", "SparseLinear", "SparsePart", "report", "sparsify"]
