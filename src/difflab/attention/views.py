"""What is shown of generated pictures: where a word or a patch attends to under each model, and features of patches.

All of it is computed from what was captured while the pictures were made; nothing is run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.attention import heatmap
from difflab.attention.affinity import Affinity, tokens
from difflab.attention.capture import check_numbers
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    import numpy as np

    from difflab.attention.layout import Layout
    from difflab.attention.records import Records


@dataclass(frozen=True)
class Made:
    """A picture that a model made of one of the prompts.

    Attributes:
        model: its name.
        prompt: the number of the prompt, from 0.
        picture: uint8 [H, W, 3].
        records: of this picture alone, a batch of one.
    """

    model: str
    prompt: int
    picture: "np.ndarray"
    layout: "Layout"
    records: "Records"


@dataclass(frozen=True)
class Source:
    """What is asked about: tokens of the picture of one prompt, under every model the same."""

    name: str
    prompt: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """Which affinity, averaged over which blocks, steps and heads (None: all); across: over the pictures of all prompts."""

    affinity: Affinity = "attention"
    blocks: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    across: bool = False


def word_sources(layouts: Sequence["Layout"], words: Sequence[str], prompt: int | None = None) -> list[Source]:
    """Each word in each prompt that has it (without words: every word); only in one prompt where its number is given.

    Raises:
        DifflabError: no prompt has a word, the one in question does not, or there is no such prompt.
    """
    check_numbers("prompt", [] if prompt is None else [prompt], len(layouts), "this request")
    asked = range(len(layouts)) if prompt is None else [prompt]
    found: list[Source] = []
    for word in words or dict.fromkeys(word for n in asked for word in layouts[n].words()):
        own = [n for n in asked if word.strip() and word.lower() in layouts[n].prompt.lower()] or list(asked)[:1]
        found += [Source(word, n, tuple(layouts[n].positions(word))) for n in own]
    return found


def patch_source(layouts: Sequence["Layout"], row: int, column: int, prompt: int | None = None) -> Source:
    """The patch at a row and column, from 0, of the picture of a prompt (by default the first).

    Raises:
        DifflabError: the picture has no such patch, or there is no such prompt.
    """
    number = prompt or 0
    check_numbers("prompt", [number], len(layouts), "this request")
    placed = layouts[number]
    for what, place, count in (("row", row, placed.height), ("column", column, placed.width)):
        if not 0 <= place < count:
            raise DifflabError(
                f"patch {row},{column} does not exist: the picture has {what}s 0 to {count - 1} of patches"
            )
    return Source(f"patch {row},{column}", number, (row * placed.width + column,))


def rows(made: Sequence[Made], source: Source, choice: Choice) -> dict[int, Tensor]:
    """The affinity of a source to all tokens, by prompt: float32 [tokens of that picture].

    Rows of attention sum to 1: within the source's own picture, which alone has one, or over all pictures together.

    Args:
        made: the pictures of one model.
    """
    shown = list(made) if choice.across else [one for one in made if one.prompt == source.prompt]
    given = tokens([(one.records, 0) for one in shown], blocks=choice.blocks, steps=choice.steps, heads=choice.heads)
    counts = [one.layout.count for one in shown]
    offset = sum(count for one, count in zip(shown, counts, strict=True) if one.prompt < source.prompt)
    row = heatmap.word_rows(given, choice.affinity, source.positions, offset)
    return {one.prompt: part.clone() for one, part in zip(shown, row.split(counts), strict=True)}


def by_model(made: Sequence[Made]) -> dict[str, list[Made]]:
    """The pictures of each model in the order of their prompts."""
    models = dict.fromkeys(one.model for one in made)
    return {model: sorted((one for one in made if one.model == model), key=lambda one: one.prompt) for model in models}


def difference(found: dict[str, dict[int, Tensor]]) -> dict[int, Tensor]:
    """The rows of the second of two models minus those of the first, by prompt; empty of any other number of models."""
    if len(found) != 2:
        return {}
    first, second = found.values()
    return {prompt: second[prompt] - first[prompt] for prompt in first}


def patch_features(one: Made, choice: Choice) -> Tensor:
    """The outputs of attention at the patches, mean over steps, blocks side by side: float32 [patches, d]."""
    attended = one.records.chosen(choice.blocks, choice.steps)
    steps = len(one.records.steps if choice.steps is None else choice.steps)
    outputs = [part.output[0, :, : one.layout.patches].float().transpose(0, 1).flatten(1) for part in attended]
    blocks = len(outputs) // steps
    return torch.cat([torch.stack(outputs[block::blocks]).mean(0) for block in range(blocks)], dim=1)
