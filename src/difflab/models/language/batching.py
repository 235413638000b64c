"""Batches of texts of similar length, padded on the left, as decoder-only models need them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def length_sorted(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Positions 0 .. n-1 in batches of similar length, the longest first (so memory runs out early or never).

    Ties keep their order. Every position occurs once; all batches but the last are full.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def map_batches(
    items: Sequence[Item], lengths: Sequence[int], batch_size: int, work: Callable[[list[Item]], Sequence[Result]]
) -> list[Result]:
    """Apply `work` to length-sorted batches of `items`; the results come in the order of `items`.

    Args:
        lengths: one length per item.
        work: takes a batch and returns one result per item of it, in its order.
    """
    found: dict[int, Result] = {}
    for positions in length_sorted(lengths, batch_size):
        results = work([items[i] for i in positions])
        found.update(zip(positions, results, strict=True))
    return [found[i] for i in range(len(items))]


def left_pad(rows: Sequence[Sequence[int]], pad_token_id: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """Token rows padded left: input_ids and attention_mask (0 on the padding), both int64 [n, longest]."""
    import torch

    longest = max(map(len, rows), default=0)
    input_ids = torch.full((len(rows), longest), pad_token_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for i, row in enumerate(rows):
        start = longest - len(row)
        input_ids[i, start:] = torch.tensor(row, dtype=torch.int64)
        attention_mask[i, start:] = 1
    return input_ids, attention_mask
