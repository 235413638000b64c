"""The miniature's pictures: a tinted, outlined digit over a toned photograph, with true attributes.

Everything random about a picture is one row of uniform numbers (`_DRAWS`), so single pictures and batches
share one vectorised renderer. Attributes are measured on the rendered mask and background.

A picture is the same bytes on every processor and in any company. Numpy's elementwise float32 arithmetic (+, -, *, /,
sqrt) is correctly rounded; sums and matrix products, whose order depends on the processor, are of integers only, small
enough to be exact in their type. No exp, log, sine or power, which are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import fsum

import numpy as np

from difflab.core.base import rng as keyed
from difflab.miniature.data.sources import PHOTO_FILES, digits, enlarged, photos

PHOTO_NAMES: tuple[str, ...] = tuple(PHOTO_FILES)
ATTRIBUTES: tuple[str, ...] = (
    *(f"Digit_{n}" for n in range(10)),
    *(f"Photo_{name}" for name in PHOTO_NAMES),
    *("Thick", "Thin", "Slanted_Left", "Slanted_Right", "Large", "Small", "Inverted"),
    *("Red_Digit", "Yellow_Digit", "Green_Digit", "Blue_Digit"),
    *("Bright_Background", "Dark_Background", "Smooth_Background"),
    *("Colourful", "Grey", "Warm_Background", "Cool_Background"),
)
"""The 40 columns of the miniature's attribute table.

Thick, Thin: mean stroke width (2 area / perimeter) above 0.15 or below 0.11 of the image side.
Slanted_Right, Slanted_Left: the strokes lean (second moments) more than 0.14 beyond their digit's usual lean.
Large, Small: digit height above 0.86 or below 0.70 of the image side.
Inverted: a dark digit on a lightened photograph. *_Digit: the tint; without one the digit is white, or black.
Bright_, Dark_Background: mean luma above 0.66 or below 0.18. Smooth_Background: its deviation is below 0.065.
Colourful, Grey: mean (max - min) of the background's channels above 0.20 or below 0.03.
Warm_, Cool_Background: mean red - blue above 0.12 or below -0.02.
"""

_DRAWS = ("zoom", "left", "top", "tone", "inverted", "tint", "scale", "x", "y", "shear", "weight")
_UPSAMPLE, _MARGIN = 4, 2  # the digit field: 8 + 2 * 2 source pixels, 4 samples each
_ZOOMED = {"Bricks": 0.45, "Galaxies": 0.5, "Coins": 0.8}  # share of the photograph's short side that is used
# Tints: none, red, yellow, green, blue.
_LIGHT = np.array([[255, 255, 255], [255, 118, 104], [255, 226, 84], [140, 244, 128], [128, 200, 255]], np.float32)
_DARK = np.array([[14, 14, 18], [150, 6, 20], [14, 14, 18], [0, 88, 34], [12, 34, 150]], np.float32)  # no yellow
_WEIGHT = 2048  # weights are rounded to integers of this unit: at most 1.6 * 2048 together
_FINE = 16  # half resampled levels are rounded to 1 / 16, so that sums of 255 * 16 times weights stay below 2^24


@dataclass(frozen=True)
class Composite:
    """One picture.

    Attributes:
        image: uint8 [H, W, 3].
        attributes: all of `ATTRIBUTES`, true of the picture.
        digit: 0 to 9, or -1 for a photograph alone.
        photo: one of `PHOTO_NAMES`, or "" for a plain digit.
        mask: bool [H, W], the pixels of which the digit's strokes cover half or more.
    """

    image: np.ndarray
    attributes: dict[str, bool]
    digit: int
    photo: str
    mask: np.ndarray


@dataclass(frozen=True)
class Rendered:
    """Pictures made together. Their attributes are measured when asked for: most training needs none.

    Attributes:
        images: uint8 [n, H, W, 3].
        digits: 0 to 9, or -1 for photographs alone; int64 [n].
        photos: rows of `PHOTO_NAMES`, or -1 for plain digits; int64 [n].
    """

    images: np.ndarray
    digits: np.ndarray
    photos: np.ndarray
    _measured: tuple

    @cached_property
    def composites(self) -> list[Composite]:
        """The pictures one by one, with all attributes."""
        names = [PHOTO_NAMES[p] if p >= 0 else "" for p in self.photos]
        rows = [dict(zip(ATTRIBUTES, row, strict=True)) for row in _attributes(*self._measured).tolist()]
        _, _, mask, *_ = self._measured
        parts = zip(self.images, rows, self.digits.tolist(), names, mask >= 0.5, strict=True)
        return [Composite(*part) for part in parts]


def compose_many(
    digit_indices: Sequence[int],
    photo_names: Sequence[str],
    rngs: Sequence[np.random.Generator],
    canvases: Sequence[tuple[int, int]],
    offsets: Sequence[int] | None = None,
) -> list[Composite]:
    """Digits (rows of `digits()`) over crops of photographs, each on a canvas of (height, width) pixels.

    A picture fills a square of side min(canvas) that starts `offsets[i]` pixels along the longer side; the
    photograph goes on around the square. The attributes describe the square.
    """
    indices, photo = np.asarray(digit_indices), np.array([PHOTO_NAMES.index(name) for name in photo_names])
    draws = np.stack([rng.random(len(_DRAWS)) for rng in rngs])
    offset = np.zeros(len(indices), np.int64) if offsets is None else np.asarray(offsets)
    pictures: dict[int, Composite] = {}
    for canvas in dict.fromkeys(canvases):
        rows = [n for n, other in enumerate(canvases) if other == canvas]
        drawn = _render(indices[rows], photo[rows], draws[rows], canvas, offset[rows])
        pictures |= zip(rows, drawn.composites, strict=True)
    return [pictures[n] for n in range(len(indices))]


def plain(digit_index: int, rng: np.random.Generator, size: int = 32) -> Composite:
    """The digit over one plain colour: shapes, tints and tones as in `compose_many`, no photograph."""
    return _render(np.array([digit_index]), None, rng.random((1, len(_DRAWS))), (size, size)).composites[0]


def batch(
    indices: np.ndarray, seed: int, purpose: str, step: int, size: int = 32, with_photos: bool = True
) -> Rendered:
    """Fresh pictures for training, one per row of `digits()` in `indices`; photographs are drawn uniformly.

    The draws are keyed by (seed, purpose, step).
    """
    rng = keyed.numpy_rng(seed, purpose, step)
    indices = np.asarray(indices)
    chosen = rng.integers(len(PHOTO_NAMES), size=len(indices)) if with_photos else None
    return _render(indices, chosen, rng.random((len(indices), len(_DRAWS))), (size, size))


def bare_photos(count: int, seed: int, purpose: str, size: int = 32) -> Rendered:
    """Photographs as they lie behind digits, without a digit: as `batch`, with digit -1 and no digit's attribute."""
    rng = keyed.numpy_rng(seed, purpose, "bare")
    chosen = rng.integers(len(PHOTO_NAMES), size=count)
    return _render(None, chosen, rng.random((count, len(_DRAWS))), (size, size))


def _render(
    indices: np.ndarray | None,
    photo: np.ndarray | None,
    draws: np.ndarray,
    canvas: tuple[int, int],
    offset: np.ndarray | None = None,
) -> Rendered:
    """Pictures from draws [n, len(_DRAWS)] in (0, 1): without digits where `indices` is None, see also `photo`."""
    count = len(draws)
    none, nowhere = np.full(count, -1), np.zeros(count, np.int64)
    shift = (nowhere if offset is None else offset, nowhere)[:: 1 if canvas[0] > canvas[1] else -1]
    pixels = [np.arange(length) + 0.5 - by[:, None] for length, by in zip(canvas, shift, strict=True)]
    grid_y, grid_x = (centres.astype(np.float32) for centres in pixels)  # [n, H] and [n, W] from the square's edge
    side = min(canvas)
    draw = dict(zip(_DRAWS, draws.astype(np.float32).T, strict=True))
    if indices is None:
        field = np.zeros((count, *canvas), np.float32)
    else:
        field = _digit_field(indices, draw, grid_y / side, grid_x / side)
    threshold = 0.42 + 0.16 * draw["weight"][:, None, None]
    mask = _smoothstep(field, threshold - 0.10, threshold + 0.10)
    halo = _smoothstep(field, threshold - 0.34, threshold - 0.06)[..., None]

    tint = 1 + np.clip(np.floor((draw["tint"] - 0.4) / 0.15), -1, 3).astype(np.int64)  # 40 % none, 15 % each colour
    inverted = draw["inverted"] < 0.3
    if photo is None:  # one muted colour
        red, green, blue = muted = np.stack([draw[name] for name in ("zoom", "top", "left")])
        background = (127.5 * (muted + (red + green + blue) / 3)).T[:, None, None, :]
    else:
        background = _background(photo, draw, side, grid_y, grid_x)
    tone, flip = draw["tone"][:, None, None, None], inverted[:, None, None, None]
    lightened = 255 - (255 - background) * (0.35 + 0.20 * tone)
    background = np.where(flip, lightened, background * (0.50 + 0.30 * tone))
    background = background + halo * 0.6 * (np.where(flip, 255.0, 0.0).astype(np.float32) - background)
    colour = np.where(inverted[:, None], _DARK[tint], _LIGHT[tint])[:, None, None, :]
    images = background + mask[..., None] * (colour - background)
    images = np.rint(np.clip(images, 0, 255)).astype(np.uint8)

    rows, columns = (by[:, None] + np.arange(side) for by in shift)
    square = (np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :])
    labels = none if indices is None else digits().labels[indices]
    measured = (indices, photo, mask, background, square, inverted, tint)
    return Rendered(images, labels, none if photo is None else photo, measured)


def _digit_field(indices, draw, grid_y, grid_x):
    """Stroke strength [n, H, W]: the upsampled digit under scale, shear and shift."""
    scale = 0.66 + 0.24 * draw["scale"]  # height of the 8-row digit over the side
    centre_x, centre_y = (0.5 + 0.06 * (draw[name] - 0.5) for name in ("x", "y"))
    shear = 0.3 * (draw["shear"] - 0.5)
    row = ((grid_y - centre_y[:, None]) / scale[:, None])[:, :, None]
    column = ((grid_x - centre_x[:, None]) / scale[:, None])[:, None, :]
    fields = _fields()
    cells = fields.shape[-1]
    y, x = (
        np.clip((at + 0.5) * 8 * _UPSAMPLE + _MARGIN * _UPSAMPLE - 0.5, 0, cells - 1.001)
        for at in (row, column + shear[:, None, None] * row)
    )
    top, left = y.astype(np.int64), x.astype(np.int64)
    fy, fx = (y - top).astype(np.float32), (x - left).astype(np.float32)
    at = indices[:, None, None] * cells * cells + top * cells + left
    flat = fields.reshape(-1)
    upper = flat[at] * (1 - fx) + flat[at + 1] * fx
    lower = flat[at + cells] * (1 - fx) + flat[at + cells + 1] * fx
    return upper * (1 - fy) + lower * fy


@cache
def _fields() -> np.ndarray:
    """All digits upsampled with an empty margin: float32 [1797, 48, 48]."""
    padded = np.pad(digits().images, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
    return enlarged(padded, _UPSAMPLE).astype(np.float32)


def _background(photo, draw, side, grid_y, grid_x):
    """A random crop of each photograph, resized with a tent filter: float32 [n, H, W, 3] in 0..255."""
    bases = _bases(side)
    count, cells = len(photo), bases.shape[1]
    height, width = grid_y.shape[1], grid_x.shape[1]
    span = side * (1.15 + 0.35 * draw["zoom"])  # side of the crop in base pixels, at most 1.5 * side = cells
    step = span / side
    (down, down_sum), (across, across_sum) = (
        _tent(((cells - span) * draw[name])[:, None] + grid * step[:, None] - 0.5, step, cells)
        for name, grid in (("top", grid_y), ("left", grid_x))
    )
    rows = down @ bases[photo].reshape(count, cells, cells * 3) * (_FINE / down_sum)  # [n, H, cells * 3]
    rows = np.rint(rows).reshape(count, height, cells, 3).transpose(0, 2, 1, 3)
    result = across @ np.ascontiguousarray(rows).reshape(count, cells, height * 3) / (_FINE * across_sum)
    return result.reshape(count, width, height, 3).transpose(0, 2, 1, 3)


def _tent(centre, step, cells):
    """Resampling weights of a tent as wide as the step, reflected outside: integers [n, length, cells] and their sum.

    They are float32, for fast products that are exact nevertheless.
    """
    centre = np.abs(centre)
    centre = (cells - 1) - np.abs((cells - 1) - centre)
    distance = np.abs(centre[:, :, None] - np.arange(cells, dtype=np.float32))
    weights = np.rint(_WEIGHT * np.maximum(0, 1 - distance / step[:, None, None]))
    return weights, weights.sum(-1, keepdims=True)


@cache
def _bases(side: int) -> np.ndarray:
    """The used square of every photograph at 1.5 times the picture's side: integers, float32 [12, cells, cells, 3].

    Pillow resizes 8-bit images in integers.
    """
    from PIL import Image

    cells = side * 3 // 2
    squares = []
    for name, photo in photos().items():
        height, width, _ = photo.shape
        used = min(height, width) * _ZOOMED.get(name, 1.0)
        box = ((width - used) / 2, (height - used) / 2, (width + used) / 2, (height + used) / 2)
        resized = Image.fromarray(photo).resize((cells, cells), Image.Resampling.LANCZOS, box=box)
        squares.append(np.asarray(resized, np.float32))
    return np.stack(squares)


def _attributes(indices, photo, mask, background, square, inverted, tint):
    """The table bool [n, 40], measured within the square on mask [n, H, W] and background [n, H, W, 3]."""
    mask = _integers(256 * mask[square])
    weight = 256 - mask
    total = weight.sum((1, 2))
    red, green, blue = _integers(np.moveaxis(background[square], -1, 0))

    def mean(values):  # of integers of so many levels of 255, in 0..1
        return (values * weight).sum((1, 2)) / total / 255

    luma = 299 * red + 587 * green + 114 * blue
    light = mean(luma) / 1000
    spread = np.sqrt(np.maximum(mean(luma * luma) / 255e6 - light * light, 0))
    colour = mean(np.maximum(red, np.maximum(green, blue)) - np.minimum(red, np.minimum(green, blue)))
    warmth = mean(red - blue)
    none = np.zeros(len(mask), bool)
    names, strokes = ([none] * 10, [none] * 11) if indices is None else _strokes(indices, mask, inverted, tint)
    columns = [*names, *(none if photo is None else photo == p for p in range(len(PHOTO_NAMES))), *strokes]
    columns += [light > 0.66, light < 0.18, spread < 0.065]
    columns += [colour > 0.20, colour < 0.03, warmth > 0.12, warmth < -0.02]
    return np.stack(columns, axis=1)


def _strokes(indices, mask, inverted, tint):
    """The ten columns that name the digit, and the eleven from Thick to Blue_Digit."""
    labels, side = digits().labels[indices], mask.shape[1]
    width, lean, height = _shape(mask)
    lean = lean - _usual_lean()[labels]
    columns = [width > 0.15 * side, width < 0.11 * side, lean < -0.14, lean > 0.14]
    columns += [height > 0.86 * side, height < 0.70 * side, inverted]
    columns += [tint == 1, (tint == 2) & ~inverted, tint == 3, tint == 4]
    return [labels == n for n in range(10)], columns


def _shape(mask):
    """Of each mask, int64 [n, H, W] in 0..256: stroke width, lean (pixels to the right per pixel up) and height."""
    area = mask.sum((1, 2))
    down, across = (np.diff(mask, axis=axis, append=0) for axis in (1, 2))
    perimeter = _integers(256 * np.sqrt(down * down + across * across)).sum((1, 2))
    y, x = (np.arange(length) for length in mask.shape[1:])
    rows, towards_x = mask.sum(2), mask @ x  # [n, H]
    sum_y = rows @ y
    covariance = area * (towards_x @ y) - sum_y * towards_x.sum(1)
    variance = area * (rows @ (y * y)) - sum_y * sum_y
    return 2 * 256 * area / perimeter, -covariance / variance, (mask.max(2) > 128).sum(1)


@cache
def _usual_lean() -> np.ndarray:
    """The mean lean of each digit's unsheared pictures, float64 [10]: a seven leans by itself."""
    labels = digits().labels
    lean = _shape(_integers(256 * np.clip(_fields(), 0, 1)))[1]
    return np.array([fsum(lean[labels == n]) / (labels == n).sum() for n in range(10)])


def _smoothstep(value, low, high):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _integers(values):
    return np.rint(values).astype(np.int64)
