"""The sparse layers of a model as plain data, and a model's skeleton from it: what a folder must say beside the plans."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from .. import _core
from ._fused import Pointwise, SparsePart, parts_of
from ._linear import SparseLinear
from ._structure import put

version = 1


@dataclasses.dataclass
class Entry:
    """A sparse layer where it stands in a model."""

    kind: str  #: "linear", "pointwise" or "parts"
    names: list[str]  #: paths of the modules that it replaces: one, or those of its parts in order
    sizes: list[int]  #: outputs of each
    layer: SparseLinear


def sparse_layers(model: torch.nn.Module) -> list[Entry]:
    """The sparse layers of a model, in its order."""
    found: list[Entry] = []
    of_parts: dict[int, Entry] = {}
    inside = set()
    for name, module in model.named_modules():
        if isinstance(module, SparsePart):
            fused = module._fused[0]
            entry = of_parts.get(id(fused))
            if entry is None:
                entry = of_parts[id(fused)] = Entry("parts", [], [], fused)
                found.append(entry)
            entry.names.append(name)
            entry.sizes.append(module.out_features)
            inside.add(id(fused))
        elif isinstance(module, Pointwise):
            found.append(Entry("pointwise", [name], [module.linear.out_features], module.linear))
            inside.add(id(module.linear))
        elif isinstance(module, SparseLinear) and id(module) not in inside:
            found.append(Entry("linear", [name], [module.out_features], module))
    for entry in of_parts.values():  # children may stand in another order than their outputs
        order = sorted(range(len(entry.names)), key=lambda i: model.get_submodule(entry.names[i]).begin)
        entry.names, entry.sizes = [entry.names[i] for i in order], [entry.sizes[i] for i in order]
    return found


def layout_of(model: torch.nn.Module) -> dict[str, Any]:
    """What `build` needs to make a model's sparse layers again: plain values, for JSON."""
    return {"version": version,
            "layers": [{"kind": entry.kind, "modules": entry.names, "sizes": entry.sizes,
                        "activation": entry.layer.activation, "absorbed": entry.layer.absorbed,
                        "plan": entry.layer.description()} for entry in sparse_layers(model)]}


def build(model: torch.nn.Module, layout: dict[str, Any]) -> None:
    """Puts sparse layers without plans where `layout` says; their plans are to be loaded.

    Raises:
        InputError where the layout is damaged or does not fit the model.
    """
    if not isinstance(layout, dict) or layout.get("version") != version:
        raise _core.InputError(f"the layout of sparse layers has no version {version}; save the model again with this "
                               "version of cross_sparse")
    try:
        for entry in layout["layers"]:
            names, sizes = entry["modules"], entry["sizes"]
            layer = SparseLinear.empty(entry["plan"], entry["activation"])
            layer.absorbed = entry["absorbed"]
            if not names or len(names) != len(sizes) or sum(sizes) != layer.out_features:
                raise ValueError(f"the parts {sizes} of {names} do not make {layer.out_features} features")
            for name in names + ([layer.absorbed] if layer.absorbed else []):
                model.get_submodule(name)
            if entry["kind"] == "parts":
                for name, part in zip(names, parts_of(layer, sizes)):
                    put(model, name, part)
            else:
                put(model, names[0], Pointwise(layer) if entry["kind"] == "pointwise" else layer)
            if layer.absorbed:
                put(model, layer.absorbed, torch.nn.Identity())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _core.InputError(f"the layout of sparse layers is damaged or of another model: {error}") from error
