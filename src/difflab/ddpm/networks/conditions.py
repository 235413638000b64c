"""What a network is told about an image: its class, or a prompt for it."""

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.ddpm.networks.prompts import PAD, Vocabulary, digit_prompts


class Conditions(Protocol):
    """The conditions of a data set, by row."""

    def to(self, device: torch.device) -> Self: ...

    def draw(self, index: Tensor, keys: Tensor, dropped: Tensor) -> dict[str, Tensor]:
        """Arguments of the network for some rows.

        Args:
            index: rows, int64 [B].
            keys: keys of whatever is drawn, int64 [B].
            dropped: whether the condition is left out, bool [B].
        """
        ...


class ClassConditions:
    """Class numbers; the number `count` stands for no class.

    Args:
        labels: int64 [N], 0 .. count - 1.
    """

    def __init__(self, labels: Tensor, count: int) -> None:
        self.labels, self.count = labels, count

    def to(self, device: torch.device) -> "ClassConditions":
        return ClassConditions(self.labels.to(device), self.count)

    def draw(self, index: Tensor, keys: Tensor, dropped: Tensor) -> dict[str, Tensor]:
        return {"class_labels": torch.where(dropped, self.count, self.labels[index])}


class DigitPrompts:
    """One of several prompts for the digit of each row, another at each visit.

    Args:
        digits: int64 [N], 0 .. 9.
        tokens: every prompt of every digit, int64 [10, P, L].
    """

    def __init__(self, digits: Tensor, tokens: Tensor) -> None:
        self.digits, self.tokens = digits, tokens

    def to(self, device: torch.device) -> "DigitPrompts":
        return DigitPrompts(self.digits.to(device), self.tokens.to(device))

    def draw(self, index: Tensor, keys: Tensor, dropped: Tensor) -> dict[str, Tensor]:
        variant = (rng.uniform(keys) * self.tokens.shape[1]).long()
        tokens = self.tokens[self.digits[index], variant]
        return {"tokens": torch.where(dropped[:, None], PAD, tokens)}


def digit_tokens(vocabulary: Vocabulary) -> Tensor:
    """Tokens of every prompt of every digit, int64 [10, P, L]."""
    return torch.stack([vocabulary.encode(digit_prompts(digit)) for digit in range(10)])


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Class numbers of class names, int64 [n].

    Raises:
        DifflabError: an unknown class; the known ones are listed.
    """
    if unknown := [name for name in names if name not in classes]:
        raise DifflabError(f"unknown class '{unknown[0]}': the model knows {', '.join(classes)}")
    return torch.tensor([list(classes).index(name) for name in names], dtype=torch.int64)
