"""The endless stream of training samples. It has no state: position n always holds the same sample.

So a run restarts anywhere, and batch size, accumulation and processes only cut the same stream differently.
"""

import torch
from torch import Tensor

from difflab.core.base import rng


class SampleStream:
    """Epochs of n samples one after the other: a permutation each, or weighted draws with replacement.

    Args:
        keys: one key per sample, int64 [n], from `rng.id_keys`.
        seed: of the order.
        weights: probability of each sample up to a factor, [n], for draws; None for permutations.
    """

    def __init__(self, keys: Tensor, seed: int, weights: Tensor | None = None) -> None:
        self.keys, self.seed, self.weights = keys, seed, weights
        self._epochs: dict[int, tuple[Tensor, Tensor]] = {}

    def take(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Indices and keys of the samples at the positions start .. start + count - 1, both int64 [count].

        The key mixes sample id, epoch and, where an epoch holds a sample several times, the number of the visit;
        fold a purpose into it.
        """
        (first, offset), n = divmod(start, len(self.keys)), len(self.keys)
        epochs = [self._epoch(epoch) for epoch in range(first, (start + count - 1) // n + 1)]
        index, keys = (torch.cat(parts)[offset : offset + count] for parts in zip(*epochs, strict=True))
        return index, keys

    def _epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        if epoch not in self._epochs:
            generator = rng.torch_generator(self.seed, "order", epoch)
            if self.weights is None:
                index = torch.randperm(len(self.keys), generator=generator)
            else:
                index = torch.multinomial(self.weights.double(), len(self.keys), replacement=True, generator=generator)
            keys = rng.fold(self.keys[index], epoch, visits(index))
            self._epochs = {e: v for e, v in self._epochs.items() if e == epoch - 1} | {epoch: (index, keys)}
        return self._epochs[epoch]


def visits(index: Tensor) -> Tensor:
    """How often each entry occurred before its place: [7, 3, 7, 7] gives [0, 0, 1, 2]."""
    ordered, place = torch.sort(index, stable=True)
    visit = torch.empty_like(index)
    visit[place] = torch.arange(len(index)) - torch.searchsorted(ordered, ordered)
    return visit
