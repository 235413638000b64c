"""What a network is told about an image: its class, or a prompt of few words for its digit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS, numbers_in
from difflab.core.base.store.tensors import per_sample
from difflab.ddpm.common.prompts import digit_prompts, words_of

PAD = 0  # the empty prompt is padding alone


def digit_of(prompt: str) -> int:
    """The digit that a prompt asks for; a prompt that names none is refused."""
    if digits := numbers_in(prompt):
        return min(digits)
    raise DifflabError(f"the prompt '{prompt}' names no digit: say {', '.join(NUMBER_WORDS)}, or 0 to 9")


class Vocabulary:
    """The known words, in the order of their numbers from 1 (0 is padding), for prompts of `length` tokens."""

    def __init__(self, words: Sequence[str], length: int) -> None:
        self.words, self.length = list(words), length
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}

    @classmethod
    def of(cls, prompts: Iterable[str]) -> "Vocabulary":
        """The vocabulary of all words of some prompts, long enough for the longest."""
        split = [words_of(p) for p in prompts]
        return cls(sorted({word for words in split for word in words}), max(map(len, split)))

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Token numbers, int64 [len(prompts), length], padded on the right; unknown or too many words are refused."""
        rows = []
        for prompt in prompts:
            words = words_of(prompt)
            if unknown := [word for word in words if word not in self._numbers]:
                raise DifflabError(
                    f"the prompt '{prompt}' has the unknown word '{unknown[0]}': the model knows "
                    f"{', '.join(self.words)}"
                )
            if len(words) > self.length:
                raise DifflabError(f"the prompt '{prompt}' has {len(words)} words, the model reads {self.length}")
            rows.append([self._numbers[w] for w in words] + [PAD] * (self.length - len(words)))
        return torch.tensor(rows, dtype=torch.int64)


class PromptEncoder(nn.Module):
    """Word and position embeddings: int64 [B, L] to float32 [B, L, dim]."""

    def __init__(self, vocabulary: Vocabulary, dim: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(rng.key(seed, "init", "prompts"))
        self.vocabulary, self.dim = vocabulary, dim
        self.words = nn.Embedding(len(vocabulary.words) + 1, dim)
        self.positions = nn.Embedding(vocabulary.length, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.words(tokens) + self.positions.weight


class PromptedUNet(nn.Module):
    """A `UNet2DConditionModel` together with the embedding of the words it reads."""

    def __init__(self, unet: nn.Module, prompts: PromptEncoder) -> None:
        super().__init__()
        self.unet, self.prompts = unet, prompts

    def forward(self, x: Tensor, timestep: Tensor, tokens: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """The prediction [B, C, H, W], for tokens int64 [B, L]."""
        return self.unet(x, timestep, encoder_hidden_states=self.prompts(tokens), return_dict=False)


@dataclass(frozen=True)
class Conditions:
    """The conditions of a data set, by row: one of several ways to say the same, another at each visit."""

    argument: str  # of the network
    rows: Tensor  # which condition each image has, int64 [N]
    values: Tensor  # the ways to say each condition, int64 [K, P] or [K, P, L]
    empty: int  # the value that stands for no condition

    def to(self, device: torch.device) -> "Conditions":
        return Conditions(self.argument, self.rows.to(device), self.values.to(device), self.empty)

    def draw(self, index: Tensor, keys: Tensor, dropped: Tensor) -> dict[str, Tensor]:
        """Arguments of the network for rows `index`, int64 [B], drawn by keys, int64 [B]; none where dropped, bool [B]."""
        way = (rng.uniform(keys) * self.values.shape[1]).long()
        value = self.values[self.rows[index], way]
        return {self.argument: torch.where(per_sample(dropped, value), self.empty, value)}


def conditions_for(network: nn.Module, labels: Sequence[str], classes: Sequence[str]) -> Conditions | None:
    """What a network is told about images with the class names `labels`.

    Args:
        classes: those that the network knows by number, and the number after the last for no class; empty for a
            network that is told none.
    """
    if isinstance(network, PromptedUNet):  # whatever the order of the classes
        digits = torch.tensor([digit_of(label) for label in labels])
        tokens = torch.stack([network.prompts.vocabulary.encode(digit_prompts(digit)) for digit in range(10)])
        return Conditions("tokens", digits, tokens, PAD)
    if classes:
        numbers = torch.arange(len(classes))[:, None]
        return Conditions("class_labels", class_numbers(labels, classes), numbers, len(classes))
    return None


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Class numbers of class names, int64 [n]; an unknown one is refused with a list of the known ones."""
    if unknown := [name for name in names if name not in classes]:
        raise DifflabError(f"unknown class '{unknown[0]}': the model knows {', '.join(classes)}")
    return torch.tensor([list(classes).index(name) for name in names], dtype=torch.int64)
