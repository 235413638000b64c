"""Prompts of few words for small models: a vocabulary, and an embedding learnt with the network."""

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS, numbers_in

PAD = 0  # the empty prompt is padding alone
TEMPLATES = ("{word}", "{number}", "the digit {number}", "the digit {word}", "a handwritten {word}", "a {word}")


def digit_prompts(digit: int) -> list[str]:
    """The ways to ask for a digit: "three", "3", "the digit 3", ..."""
    return [t.format(word=NUMBER_WORDS[digit], number=digit) for t in TEMPLATES]


def digit_of(prompt: str) -> int:
    """The digit that a prompt asks for.

    Raises:
        DifflabError: it names none.
    """
    if digits := numbers_in(prompt):
        return min(digits)
    raise DifflabError(f"the prompt '{prompt}' names no digit: say {', '.join(NUMBER_WORDS)}, or 0 to 9")


class Vocabulary:
    """Words to numbers; number 0 is padding.

    Args:
        words: the known words, in the order of their numbers.
        length: tokens of a prompt.
    """

    def __init__(self, words: Sequence[str], length: int) -> None:
        self.words, self.length = list(words), length
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}

    @classmethod
    def of(cls, prompts: Iterable[str]) -> "Vocabulary":
        """The vocabulary of all words of some prompts, long enough for the longest."""
        split = [_words(p) for p in prompts]
        return cls(sorted({word for words in split for word in words}), max(map(len, split)))

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Token numbers, int64 [len(prompts), length], padded on the right.

        Raises:
            DifflabError: an unknown word (the known ones are listed), or too many words.
        """
        rows = []
        for prompt in prompts:
            words = _words(prompt)
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


def _words(prompt: str) -> list[str]:
    return re.findall(r"\w+", prompt.lower())
