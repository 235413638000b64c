"""Rows of tensors that lie in several files, numbered through all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import check_finite

Shard = dict[str, Tensor]
"""Tensors of equal length by name."""


def length(shard: Shard) -> int:
    return len(next(iter(shard.values())))


def check(shards: Sequence[Shard], names: set[str], folder: object, remedy: str) -> None:
    """Refuse shards that are not made of tensors of these names, alike but for their length, which is one in a shard."""
    forms = [{name: (tensor.dtype, tensor.shape[1:]) for name, tensor in shard.items()} for shard in shards]
    for number, (shard, form) in enumerate(zip(shards, forms, strict=True)):
        if form.keys() != names:
            what = f"has {', '.join(sorted(form)) or 'nothing'} in place of {', '.join(sorted(names))}"
        elif form != forms[0]:
            what = "has tensors of other shapes or precision than the first"
        elif any(tensor.ndim < 2 for tensor in shard.values()) or len({len(tensor) for tensor in shard.values()}) > 1:
            what = "has tensors of several lengths"
        else:
            continue
        raise DifflabError(f"{folder}: shard {number} {what}: {remedy}")


def check_rows(taken: Shard, ids: Sequence[str], folder: object, remedy: str) -> None:
    """Refuse rows of samples that are not finite: a damaged file, or a cache of an older version."""
    for name, tensor in taken.items():
        if tensor.is_floating_point():
            check_finite(tensor, ids, f"{folder}: {name}", remedy)


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
