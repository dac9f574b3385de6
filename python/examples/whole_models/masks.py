"""Which weights are zero: three kinds of mask, made on the device of the weight."""

import torch

REGION = 128  # rows and columns of a region


def uniform(weight, sparsity, generator):
    """Independent zeros."""
    return torch.rand(weight.shape, device=weight.device, generator=generator) >= sparsity


def regions(weight, sparsity, generator, low=0.3, high=0.99):
    """Regions of 128x128 whose sparsities lie between `low` and `high` and are `sparsity` in the mean.

    A power of a uniform number, scaled to [low, high], has any mean between the two:
    E[low + (high - low) u^p] = low + (high - low) / (p + 1).
    """
    rows, cols = weight.shape
    grid = torch.rand(-(-rows // REGION), -(-cols // REGION), device=weight.device, generator=generator)
    share = low + (high - low) * grid ** ((high - low) / (sparsity - low) - 1)
    share = share.repeat_interleave(REGION, 0).repeat_interleave(REGION, 1)[:rows, :cols]
    return torch.rand(weight.shape, device=weight.device, generator=generator) >= share


def two_four(weight, sparsity, generator):
    """Of every four neighbours in a row the two largest stay, whatever `sparsity` says."""
    groups = weight.abs().float().reshape(weight.shape[0], -1, 4)
    kept = torch.zeros_like(groups, dtype=torch.bool)
    kept.scatter_(2, groups.topk(2, dim=2).indices, True)
    return kept.reshape(weight.shape)


KINDS = {"uniform": uniform, "regions": regions, "2:4": two_four}


def prune(block, kind, sparsity, generator):
    """Zeros in the weights of all linear layers of a block, in place."""
    for module in block.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data *= KINDS[kind](module.weight, sparsity, generator)
        elif type(module).__name__ == "Conv1D":  # GPT-2 stores [in, out]
            module.weight.data *= KINDS[kind](module.weight.t(), sparsity, generator).t()
