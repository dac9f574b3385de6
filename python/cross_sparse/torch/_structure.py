"""What a model is made of: its linear layers, which of them share an input, and which activation follows one."""

import inspect
import re

import torch


def kind_of(module):
    """How a module's weight is laid out: "linear" [out, in], "conv1d" [in, out] (GPT-2), "conv2d" 1x1, or None."""
    if isinstance(module, torch.nn.Linear):
        return "linear"
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf") and module.weight.dim() == 2:
        return "conv1d"
    if (isinstance(module, torch.nn.Conv2d) and module.kernel_size == (1, 1) and module.stride == (1, 1)
            and module.groups == 1 and module.padding in ((0, 0), "same", "valid")):
        return "conv2d"
    return None


def weight_of(module, kind):
    """The weight [out, in] with its mask applied, contiguous."""
    # torch.nn.utils.prune computes `weight` in a hook before forward: it may be stale now.
    weight = module.weight_orig * module.weight_mask if hasattr(module, "weight_mask") else module.weight
    weight = weight_of_tensor(weight.detach())
    if kind == "conv2d":
        weight = weight[:, :, 0, 0]
    return (weight.t() if kind == "conv1d" else weight).contiguous()


def weight_of_tensor(weight):
    """A weight in the plain layout. A mask leaves -0.0 where it met a negative weight, which to CROSS is a kept value:
    these become 0."""
    weight = _strided(weight)
    return torch.where(weight == 0, 0, weight)


def share_of_zeros(weight):
    """In [0, 1]; 0 for a weight without elements."""
    return float((weight == 0).sum()) / max(weight.numel(), 1)


def _strided(weight):
    """A weight that PyTorch holds in a sparse layout, or as to_sparse_semi_structured makes them, with its zeros."""
    semi_structured = getattr(torch.sparse, "SparseSemiStructuredTensor", ())
    return weight.to_dense() if weight.layout != torch.strided or isinstance(weight, semi_structured) else weight


def split(name):
    """Path of the parent and name of the child."""
    parent, _, child = name.rpartition(".")
    return parent, child


def put(model, name, module):
    """Puts a module at a path, in eval mode."""
    parent, child = split(name)
    setattr(model.get_submodule(parent), child, module.eval())


# Children of one module that are given the same input. Queries, keys and values are, except in cross attention.
_attention = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"))
_gated = (("gate_proj", "up_proj"),)
_inputs_apart = {"query", "key", "value", "queries", "keys", "values"}
_cross = re.compile("cross|encoder_attn|enc_?dec", re.IGNORECASE)


def groups(model, names):
    """Those of the linear layers `names` that share their input, as lists in the order of _attention and _gated."""
    known, found = set(names), []
    for path, module in model.named_modules():
        for children in _attention + _gated:
            group = [f"{path}.{child}" if path else child for child in children]
            if not known.issuperset(group) or any(kind_of(getattr(module, child)) != "linear" for child in children):
                continue
            if children in _attention and not _self_attention(module, path):
                continue
            if len({getattr(module, child).in_features for child in children}) == 1:
                found.append(group)
    return found


def _self_attention(module, path):
    """Whether a module's projections take what its forward calls hidden_states, and nothing else."""
    if _cross.search(type(module).__name__) or _cross.search(split(path)[1]):
        return False
    parameters = list(inspect.signature(module.forward).parameters)
    return bool(parameters) and parameters[0] in ("hidden_states", "x") and not _inputs_apart.intersection(parameters)


def following_activations(model, names):
    """Layers whose result goes into an activation and nowhere else: name of the layer -> (path of the activation's
    module, its name).

    In a `nn.Sequential` the order says so. Elsewhere the parent is run on random numbers, once as it is and once with the
    activation moved to the layer: where both give the same bits it does what the order of its children suggests.
    """
    found = {}
    for name in names:
        path, child = split(name)
        parent = model.get_submodule(path)
        in_order = type(parent).forward is torch.nn.Sequential.forward
        if in_order:
            following = int(child) + 1 if child.isdigit() else len(parent)
            candidates = [str(following)] if following < len(parent) else []
        else:
            candidates = [other for other, module in parent.named_children() if not kind_of(module)]
        for other in candidates:
            activation = activation_name(getattr(parent, other))
            if activation == "none":
                continue
            if in_order or _moves(parent, child, other):
                found[name] = (f"{path}.{other}" if path else other, activation)
                break
    return found


_plain = {
    "relu": torch.nn.functional.relu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
}


def activation_name(module):
    """Which of CROSS's activations a module computes, told by its values; "none" if it computes something else."""
    if not _is_plain(module):
        return "none"
    # 1/32 apart; the erf and the tanh form of GELU differ by up to 5e-4.
    x = torch.linspace(-6, 6, 385, dtype=torch.float32, device="cpu").view(1, 1, -1)
    try:
        with torch.no_grad():
            y = module(x)
    except Exception:  # whatever a foreign module may raise: it is no activation then
        return "none"
    if not isinstance(y, torch.Tensor) or y.shape != x.shape or y.dtype != x.dtype or y.device != x.device:
        return "none"
    return next((name for name, f in _plain.items() if torch.allclose(y, f(x), rtol=1e-5, atol=1e-6)), "none")


def _is_plain(module):
    """No weights, no hooks: a function of its argument, if a cheap one to ask."""
    if next(module.parameters(), None) is not None or next(module.buffers(), None) is not None:
        return False
    return not isinstance(module, (torch.nn.Identity, torch.nn.ModuleList, torch.nn.ModuleDict)) and not (
        module._forward_hooks or module._forward_pre_hooks)


class _Then(torch.nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x):
        return self.second(self.first(x))


def _moves(parent, linear, activation):
    """Whether parent(x) stays the same, bit for bit, when the activation is computed by the layer instead."""
    layer, function = getattr(parent, linear), getattr(parent, activation)
    kind = kind_of(layer)
    if kind == "conv2d":
        return False
    weight = layer.weight
    columns = weight.shape[0 if kind == "conv1d" else 1]
    generator = torch.Generator(weight.device).manual_seed(1)
    x = torch.randn(1, 2, columns, device=weight.device, generator=generator).to(weight.dtype)
    calls = []
    count = layer.register_forward_hook(lambda module, given, result: calls.append(module))
    try:
        with torch.no_grad():
            before = _first_tensor(parent(x))
            setattr(parent, linear, _Then(layer, function))
            setattr(parent, activation, torch.nn.Identity())
            after = _first_tensor(parent(x))
    except Exception:  # a forward that takes something else, or asks the layer for more than its product
        return False
    finally:
        count.remove()
        setattr(parent, linear, layer)
        setattr(parent, activation, function)
    return len(calls) == 2 and before is not None and torch.equal(before, after) and bool(torch.isfinite(before).all())


def _first_tensor(result):
    while isinstance(result, (tuple, list)) and result:
        result = result[0]
    return result if isinstance(result, torch.Tensor) else None
