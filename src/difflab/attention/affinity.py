"""How much tokens have to do with each other: attention weights, and similarity of what layers made of each token.

Everything here is a function of captured tensors: nothing is run again, and nothing that is given is changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from difflab.attention.capture import PARTS, Attended, check_numbers
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.attention.records import Records

Affinity = Literal["attention", "output", "query", "key", "value"]
AFFINITIES: tuple[Affinity, ...] = get_args(Affinity)
MOST_PICTURES = 3
_AT_ONCE = 2**22  # affinities of several heads that are computed together: 16 MB
_MATRICES, _BYTES = 3, 4  # that are in memory at a time: the sum, scores, weights; of a float32


@dataclass(frozen=True)
class Tokens:
    """The tokens of one to three pictures side by side, as the chosen heads, blocks and steps saw them.

    Attributes:
        query, key, value, output: float32 [heads x blocks x steps, T, width]; the pictures' tokens follow each other.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor

    @property
    def count(self) -> int:
        return self.query.shape[1]


def tokens(
    pictures: Sequence[tuple["Records", int]],
    *,
    blocks: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    kind: str = "joint",
) -> Tokens:
    """Gather what was captured of up to three pictures, each a row of a batch of records: (records, row).

    Args:
        blocks, steps, heads: what affinities are averaged over; None: all that were captured.

    Raises:
        DifflabError: a block, step, head or row was not captured, there are more pictures than three, or they do not
            fit into memory.
    """
    if not 0 < len(pictures) <= MOST_PICTURES:
        raise DifflabError(
            f"{len(pictures)} pictures: affinities are taken within one and across up to {MOST_PICTURES}"
        )
    captured: list[tuple[list[Attended], int]] = []
    for records, row in pictures:
        found = records.chosen(blocks, steps, kind)
        check_numbers("picture", [row], len(found[0].query), "the batch")
        check_numbers("head", heads or (), found[0].query.shape[1], "a layer")
        captured.append((found, row))
    check_gathered([_size(found[0], heads) for found, _ in captured], len(captured[0][0]))
    gathered = [
        [torch.cat([_of(attended, part, row, heads) for attended in found]) for part in PARTS]
        for found, row in captured
    ]
    if len({part[0].shape[0] for part in gathered}) > 1:
        raise DifflabError("the pictures were captured at different steps or blocks: capture the same of each")
    return Tokens(*(torch.cat(parts, dim=1) for parts in zip(*gathered, strict=True)))


def _size(attended: Attended, heads: Sequence[int] | None) -> int:
    """Bytes of one picture's tokens in one layer at one step, as float32."""
    share = 1 if heads is None else len(heads) / attended.query.shape[1]
    return round(_BYTES * share * sum(part[0].numel() for part in attended))


def check_gathered(sizes: Sequence[int], layers: int, free: int | None = None) -> None:
    """Refuse, as a DifflabError, tokens of pictures that need more than the free memory (bytes; None: measured).

    Args:
        sizes: bytes of each picture in one layer at one step.
        layers: layers times steps.
    """
    needed, free = layers * sum(sizes), free_memory() if free is None else free
    if needed > free:
        raise DifflabError(
            f"the tokens of {len(sizes)} pictures in {layers} layers and steps need {needed / 1e9:.2g} GB, "
            f"{free / 1e9:.2g} GB are free: {free // sum(sizes)} layers and steps would fit; choose blocks, steps or heads"
        )


def _of(attended: Attended, part: str, row: int, heads: Sequence[int] | None) -> Tensor:
    tensor = getattr(attended, part)[row].float()
    return tensor if heads is None else tensor[list(heads)]


def affinities(given: Tokens, kind: Affinity, rows: Sequence[int] | None = None) -> Tensor:
    """The affinity of some tokens (None: of all) to all tokens, mean over heads, blocks and steps: float32 [R, T].

    "attention" is softmax(q k^T / sqrt(width)) over the tokens of all pictures: each row sums to 1, and says where a token
    reads from. The others are cosines in -1..1 between the tokens' outputs, queries, keys or values.

    Where they are large, one head after the other is computed: three matrices [R, T] are in memory and no more.

    Raises:
        DifflabError: a token does not exist, or the matrices do not fit into memory.
    """
    check_numbers("token", rows or (), given.count, "this choice of pictures")
    asked = list(range(given.count)) if rows is None else list(rows)
    check_fits(len(asked), given.count)
    left, right = (given.query, given.key) if kind == "attention" else (part := getattr(given, kind), part)
    total = torch.zeros(len(asked), right.shape[1])
    at_once = max(1, _AT_ONCE // max(1, total.numel()))
    for ours, all_tokens in zip(left.split(at_once), right.split(at_once), strict=True):
        if kind == "attention":
            scores = ours[:, asked] @ all_tokens.mT / math.sqrt(ours.shape[-1])
            total += torch.softmax(scores, dim=-1).sum(0)
        else:
            unit = functional.normalize(all_tokens, dim=-1)
            total += (unit[:, asked] @ unit.mT).sum(0)
    return total / len(left)


def check_fits(rows: int, count: int, free: int | None = None) -> None:
    """Refuse, as a DifflabError, affinities [rows, count] that do not fit into the free memory (bytes; None: measured).

    Some matrices of float32 are needed at a time; the message says how many tokens would fit.
    """
    needed = _MATRICES * _BYTES * rows * count
    if needed <= _MATRICES * _BYTES * _AT_ONCE:
        return
    free = free_memory() if free is None else free
    if needed > free:
        most = math.isqrt(free // (_MATRICES * _BYTES)) if rows == count else free // (_MATRICES * _BYTES * rows)
        raise DifflabError(
            f"the affinities of {rows:,} with {count:,} tokens need {needed / 1e9:.2g} GB, {free / 1e9:.2g} GB are free: "
            f"{most:,} tokens would fit; take fewer pictures, or ask for single tokens"
        )


def free_memory() -> int:
    """Bytes that a process can take at present."""
    import psutil

    return int(psutil.virtual_memory().available)
