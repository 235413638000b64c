"""Heat maps: a row of affinities as a picture, over the picture and over the words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from difflab.images.sheet import rows_sheet, scaled

if TYPE_CHECKING:
    from difflab.attention.affinity import Affinity, Tokens
    from difflab.attention.layout import Layout

_PALEST, _FULL = 0.4, 0.6  # the map covers the picture by 0.4 where it is lowest and wholly where it is highest


def word_rows(given: "Tokens", kind: "Affinity", positions: Sequence[int], offset: int = 0) -> Tensor:
    """The affinity of a word's tokens to all tokens, mean over those tokens: float32 [T].

    Args:
        positions: of the tokens in their picture, which begins at the token `offset`.
    """
    from difflab.attention.affinity import affinities

    return affinities(given, kind, [offset + position for position in positions]).mean(0)


def on_patches(row: Tensor, layout: "Layout", offset: int = 0) -> Tensor:
    """The part of a row [T] that falls on the patches of the picture that begins at token `offset`: [height, width]."""
    return row[offset : offset + layout.patches].reshape(layout.height, layout.width).clone()


def on_words(row: Tensor, layout: "Layout", encoder: str, offset: int = 0) -> list[tuple[str, float]]:
    """The part of a row [T] that falls on the tokens of one encoder that stand for text: (text, affinity)."""
    found = [token for token in layout.tokens if token.encoder == encoder and token.text]
    return [(token.text, float(row[offset + token.position])) for token in found]


def unit(values: Tensor) -> Tensor:
    """Values moved to 0..1, the least to 0 and the greatest to 1; all 0 where they are equal."""
    low, high = values.min(), values.max()
    return torch.zeros_like(values) if high <= low else (values - low) / (high - low)


def overlay(picture: np.ndarray, heat: Tensor, side: int = 256) -> np.ndarray:
    """A heat map [h, w] over its picture uint8 [H, W, 3], `side` pixels long: uint8.

    Each patch has one colour (matplotlib's "plasma"), since the network knows no finer place, and covers the picture the
    more the higher it is.
    """
    level = unit(heat.float())
    return _covered(picture, level, level, "plasma", side)


def difference_overlay(picture: np.ndarray, change: Tensor, most: float, side: int = 256) -> np.ndarray:
    """A difference of maps [h, w] over a picture, as `overlay`: red above 0, blue below, full at `most`."""
    level = (change.float() / max(most, 1e-12)).clamp(-1, 1)
    return _covered(picture, (level + 1) / 2, level.abs(), "coolwarm", side)


def _covered(picture: np.ndarray, level: Tensor, cover: Tensor, colours: str, side: int) -> np.ndarray:
    """A picture under the colours of levels in 0..1, the more the greater `cover` in 0..1 is."""
    from matplotlib import colormaps

    base = scaled(picture, side)
    over = Image.fromarray((colormaps[colours](level.numpy())[..., :3] * 255).round().astype(np.uint8))
    mask = Image.fromarray(((_PALEST + _FULL * cover.numpy()) * 255).round().astype(np.uint8))
    size, nearest = base.size, Image.Resampling.NEAREST
    return np.asarray(Image.composite(over.resize(size, nearest), base, mask.resize(size, nearest)))


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]], titles: Sequence[str], side: int = 160) -> Image.Image:
    """Rows of pictures with heat maps, each named at its left, with titles above the columns."""
    return rows_sheet(rows, side=side, titles=titles)
