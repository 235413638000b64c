"""Which token is what: the patches of the picture, then the tokens of the prompt by text encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CLIP, T5 = "CLIP", "T5"


@dataclass(frozen=True)
class Token:
    """A token of a prompt.

    Attributes:
        encoder: "CLIP" (both of them, which share their places) or "T5".
        position: among all tokens of its picture, those of the picture first.
        text: the part of the prompt that it stands for; empty for the tokens that begin, end and pad.
        start, end: where that part stands in the prompt.
    """

    encoder: str
    position: int
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """The tokens of one picture: height x width patches in rows, then those of the prompt."""

    height: int
    width: int
    prompt: str
    tokens: tuple[Token, ...]

    @property
    def patches(self) -> int:
        return self.height * self.width

    @property
    def count(self) -> int:
        return self.patches + len(self.tokens)

    def words(self) -> list[str]:
        """What of the prompt the tokens stand for, each once, in the order of the prompt."""
        found = sorted((t.start, t.text) for t in self.tokens if t.text)
        return list(dict.fromkeys(text for _, text in found))

    def positions(self, word: str, encoder: str | None = None) -> list[int]:
        """The tokens that a word of the prompt, or several in a row, fall into; those of one encoder only.

        A tokenizer may split a word, or take it together with others: every token that has a part in it counts.

        Raises:
            DifflabError: the prompt does not have the word, or none of it was read.
        """
        spans, lower, start = [], self.prompt.lower(), 0
        while word.strip() and (start := lower.find(word.lower(), start)) >= 0:
            spans.append((start, start + len(word)))
            start += len(word)
        return self.within(spans, word, encoder)

    def within(self, spans: Sequence[tuple[int, int]], word: str, encoder: str | None = None) -> list[int]:
        """`positions` of the parts (start, end) of the prompt, which a message calls `word`."""
        found = [
            token.position
            for token in self.tokens
            if (encoder is None or token.encoder == encoder)
            and any(token.start < end and start < token.end for start, end in spans)
        ]
        if not found:
            raise DifflabError(f"'{word}' is not in the prompt as the model reads it: its tokens are {self._listed()}")
        return found

    def _listed(self) -> str:
        return ", ".join(map(repr, self.words())) or "none"


def layout(
    prompt: str, grid: tuple[int, int], tokenizers: Mapping[str, tuple["PreTrainedTokenizerBase", int]]
) -> Layout:
    """The layout of a picture of `grid` (height, width) patches and its prompt.

    Args:
        tokenizers: by encoder, in the order of the model's tokens, each with the length it pads and truncates to, which
            must be that of training: with another one the model reads what it never learnt to.

    Raises:
        DifflabError: the prompt is empty.
    """
    if not prompt.strip():
        raise DifflabError("the prompt is empty: describe the picture, a token of nothing shows nothing")
    start, tokens = grid[0] * grid[1], []
    for encoder, (tokenizer, length) in tokenizers.items():
        spans = tokenizer(
            prompt, padding="max_length", max_length=length, truncation=True, return_offsets_mapping=True
        )["offset_mapping"]
        for place, span in enumerate(spans):
            first, last = _trimmed(prompt, *span)
            tokens.append(Token(encoder, start + place, prompt[first:last], first, last))
        start += length
    return Layout(*grid, prompt, tuple(tokens))


def _trimmed(prompt: str, start: int, end: int) -> tuple[int, int]:
    """The span without the spaces around it, which tokenizers count to either side."""
    while start < end and prompt[start].isspace():
        start += 1
    while start < end and prompt[end - 1].isspace():
        end -= 1
    return start, end


def check_length(found: int, trained: int) -> None:
    """Refuse, as a DifflabError, prompts of another number of tokens than in training."""
    if found != trained:
        raise DifflabError(
            f"prompts of {found} tokens: the model was trained with {trained}, and reads others as it never learnt to; "
            "take the length of training (cache.prompts.max_sequence_length)"
        )
