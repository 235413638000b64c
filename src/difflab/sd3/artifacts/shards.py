"""Rows of tensors that lie in several files, numbered through all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

Shard = dict[str, Tensor]
"""Tensors of equal length by name."""


def length(shard: Shard) -> int:
    return len(next(iter(shard.values())))


def take(shards: Sequence[Shard], rows: Tensor) -> Shard:
    """The rows, int64 [B], of every tensor, on the CPU; memory-mapped shards are read at these places only."""
    if len(shards) == 1:
        return {name: tensor[rows] for name, tensor in shards[0].items()}
    ends = torch.tensor([length(shard) for shard in shards]).cumsum(0)
    which = torch.searchsorted(ends, rows.contiguous(), right=True)
    taken = {name: t.new_empty((len(rows), *t.shape[1:])) for name, t in shards[0].items()}
    for number in which.unique().tolist():
        mine, start = which == number, ends[number] - length(shards[number])
        for name, tensor in taken.items():
            tensor[mine] = shards[number][name][rows[mine] - start]
    return taken
