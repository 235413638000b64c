"""Real pictures with the masks of their parts and the tokens of the words for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from difflab.attention.layout import CLIP, T5, Layout, layout
from difflab.attention.masks import patch_shares, read_mask
from difflab.core.base.errors import DifflabError
from difflab.core.base.pretrained import pretrained
from difflab.core.base.rng import key
from difflab.models.language.prompt_tokens import literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from difflab.images.archives.opening import Archive
    from difflab.images.facts.data_set import Part


@dataclass(frozen=True)
class Shown:
    """A part of a picture that its caption has a word for.

    Attributes:
        word: as the caption has it.
        positions: the tokens of that word in both encoders (`Layout.positions`).
        mask: bool [H, W].
        shares: of the patches, float32 [patches].
    """

    word: str
    positions: list[int]
    mask: "np.ndarray"
    shares: "Tensor"


@dataclass(frozen=True)
class Picture:
    """A picture with its caption and those of its parts (by name) that can be scored."""

    id: str
    layout: Layout
    parts: dict[str, Shown]

    @property
    def scored(self) -> bool:
        """Whether it belongs to the half that scores are of; in the other half, blocks are chosen. Half of all ids do."""
        return key(0, "half of the scores", self.id) % 2 == 0


def pictures(
    captions: Mapping[str, str],
    parts: Sequence["Part"],
    archive: "Archive | None",
    grid: tuple[int, int],
    tokenizers: Mapping[str, tuple["PreTrainedTokenizerBase", int]],
) -> list[Picture]:
    """The pictures of CelebA-HQ (or in its format) whose captions are given by id.

    Args:
        archive: with the masks; None where the data set knows no parts.
    """
    found = []
    for id, caption in captions.items():
        placed = layout(caption, grid, tokenizers)
        shown = {part.name: s for part in parts if archive and (s := _shown(part, id, placed, archive))}
        found.append(Picture(id, placed, shown))
    return found


def _shown(part: "Part", id: str, placed: Layout, archive: "Archive") -> Shown | None:
    spans = [match.span() for match in re.finditer(part.pattern, placed.prompt.lower())]
    if not spans:
        return None
    word = placed.prompt[slice(*spans[0])]
    try:
        positions = placed.within(spans, word)
    except DifflabError:  # beyond what the encoders read
        return None
    mask = read_mask(archive, int(id.rpartition("-")[2]), part.masks)
    if mask is None or not mask.any():
        return None
    return Shown(word, positions, mask, patch_shares(mask, (placed.height, placed.width)))


def load_tokenizers(
    folder: "Path", clip_length: int, max_sequence_length: int
) -> dict[str, tuple["PreTrainedTokenizerBase", int]]:
    """The tokenizers of a folder of Stable Diffusion 3's text encoders, with the lengths of training, by encoder."""
    from transformers import AutoTokenizer

    lengths = {CLIP: ("tokenizer", clip_length), T5: ("tokenizer_3", max_sequence_length)}
    return {
        encoder: (literal(pretrained(AutoTokenizer, folder / name)), length)
        for encoder, (name, length) in lengths.items()
    }
