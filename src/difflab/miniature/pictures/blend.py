"""The miniature's pictures: a tinted, outlined digit over a toned photograph, with true attributes.

Everything random about a picture is one row of uniform numbers (`_DRAWS`), so single pictures and batches
share one vectorised renderer. Attributes are measured on the rendered mask and background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from difflab.core.base import rng as keyed
from difflab.miniature.pictures.sources import PHOTO_FILES, digits, photos

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
_LIGHT = np.array([[255, 255, 255], [255, 118, 104], [255, 226, 84], [140, 244, 128], [128, 200, 255]], np.float32)
_DARK = np.array([[14, 14, 18], [150, 6, 20], [14, 14, 18], [0, 88, 34], [12, 34, 150]], np.float32)  # no yellow
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Composite:
    """One picture.

    Attributes:
        image: uint8 [H, W, 3].
        attributes: all of `ATTRIBUTES`, true of the picture.
        digit: 0 to 9, or -1 for a photograph alone.
        photo: one of `PHOTO_NAMES`, or "" for a plain digit.
    """

    image: np.ndarray
    attributes: dict[str, bool]
    digit: int
    photo: str


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
        parts = zip(self.images, rows, self.digits.tolist(), names, strict=True)
        return [Composite(*part) for part in parts]


def compose(digit_index: int, photo_name: str, rng: np.random.Generator, size: int = 32) -> Composite:
    """Digit `digit_index` (row of `digits()`) over a crop of a photograph: image uint8 [size, size, 3]."""
    return compose_many([digit_index], [photo_name], [rng], (size, size))[0]


def compose_many(
    digit_indices: Sequence[int],
    photo_names: Sequence[str],
    rngs: Sequence[np.random.Generator],
    canvas: tuple[int, int],
    offsets: Sequence[int] | None = None,
) -> list[Composite]:
    """`compose` for many pictures at once, on a canvas of (height, width) pixels.

    The picture fills a square of side min(canvas) that starts `offsets[i]` pixels along the longer side; the
    photograph goes on around the square. The attributes describe the square.
    """
    indices = np.asarray(digit_indices)
    photo = np.array([PHOTO_NAMES.index(name) for name in photo_names])
    offset = np.zeros(len(indices), np.int64) if offsets is None else np.asarray(offsets)
    draws = np.stack([rng.random(len(_DRAWS)) for rng in rngs])
    return _render(indices, photo, draws, canvas, offset).composites


def plain(digit_index: int, rng: np.random.Generator, size: int = 32) -> Composite:
    """The digit over one plain colour: shapes, tints and tones as in `compose`, no photograph."""
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
    """Pictures from draws [n, len(_DRAWS)] in (0, 1).

    `indices` None draws no digits, `photo` None no photographs.
    """
    count = len(draws)
    height, width = canvas
    side = min(canvas)
    offset = np.zeros(count, np.int64) if offset is None else offset
    shift_y, shift_x = (offset, 0 * offset) if height > width else (0 * offset, offset)
    draw = dict(zip(_DRAWS, draws.astype(np.float32).T, strict=True))
    if indices is None:
        field = np.zeros((count, height, width), np.float32)
    else:
        field = _digit_field(indices, draw, canvas, (shift_y, shift_x))
    threshold = 0.42 + 0.16 * draw["weight"][:, None, None]
    mask = _smoothstep(field, threshold - 0.10, threshold + 0.10)
    halo = _smoothstep(field, threshold - 0.34, threshold - 0.06)[..., None]

    inverted, tint = draw["inverted"] < 0.3, _tints(draw["tint"])
    if photo is None:
        background = np.broadcast_to(_plain_colour(draw), (count, height, width, 3))
    else:
        background = _background(photo, draw, canvas, (shift_y, shift_x))
    tone, flip = draw["tone"][:, None, None, None], inverted[:, None, None, None]
    lightened = 255 - (255 - background) * (0.35 + 0.20 * tone)
    background = np.where(flip, lightened, background * (0.50 + 0.30 * tone))
    background += halo * 0.6 * (np.where(flip, 255.0, 0.0).astype(np.float32) - background)
    colour = np.where(inverted[:, None], _DARK[tint], _LIGHT[tint])[:, None, None, :]
    images = background + mask[..., None] * (colour - background)
    images = np.rint(np.clip(images, 0, 255)).astype(np.uint8)

    rows = shift_y[:, None] + np.arange(side)
    columns = shift_x[:, None] + np.arange(side)
    square = (np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :])
    none = np.full(count, -1)
    return Rendered(
        images,
        none if indices is None else digits().labels[indices].astype(np.int64),
        none if photo is None else photo,
        (indices, photo, mask, background, square, inverted, tint),
    )


def _digit_field(indices, draw, canvas, shift):
    """Stroke strength [n, H, W]: the upsampled digit under scale, shear and shift."""
    height, width = canvas
    side = min(canvas)
    scale = 0.66 + 0.24 * draw["scale"]  # height of the 8-row digit over the side
    centre_x, centre_y = (0.5 + 0.06 * (draw[name] - 0.5) for name in ("x", "y"))
    shear = 0.3 * (draw["shear"] - 0.5)
    grid_y, grid_x = (_pixels(length, by) / side for length, by in zip(canvas, shift, strict=True))
    row = (grid_y - centre_y[:, None]) / scale[:, None]
    column = (grid_x - centre_x[:, None]) / scale[:, None]
    y = np.broadcast_to(row[:, :, None], (len(indices), height, width))
    x = column[:, None, :] + shear[:, None, None] * row[:, :, None]
    fields = _fields()
    cells = fields.shape[-1]
    y = np.clip((y + 0.5) * 8 * _UPSAMPLE + _MARGIN * _UPSAMPLE - 0.5, 0, cells - 1.001)
    x = np.clip((x + 0.5) * 8 * _UPSAMPLE + _MARGIN * _UPSAMPLE - 0.5, 0, cells - 1.001)
    top, left = y.astype(np.int64), x.astype(np.int64)
    fy, fx = (y - top).astype(np.float32), (x - left).astype(np.float32)
    at = indices[:, None, None] * cells * cells + top * cells + left
    flat = fields.reshape(-1)
    upper = flat[at] * (1 - fx) + flat[at + 1] * fx
    lower = flat[at + cells] * (1 - fx) + flat[at + cells + 1] * fx
    return upper * (1 - fy) + lower * fy


@cache
def _fields() -> np.ndarray:
    """All digits upsampled by a cubic spline with an empty margin: float32 [1797, 48, 48]."""
    from scipy import ndimage

    padded = np.pad(digits().images, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
    identity = np.eye(padded.shape[1], dtype=np.float32)
    spline = ndimage.zoom(identity, (_UPSAMPLE, 1), order=3, grid_mode=True, mode="grid-constant")  # [48, 12]
    return spline @ padded @ spline.T


def _pixels(length, shift):
    """Pixel centres counted from the square's edge, float32 [n, length]."""
    return np.arange(length, dtype=np.float32) + 0.5 - shift[:, None].astype(np.float32)


def _background(photo, draw, canvas, shift):
    """A random crop of each photograph, resized with a tent filter: float32 [n, H, W, 3] in 0..255."""
    side = min(canvas)
    bases = _bases(side)
    cells = bases.shape[1]
    span = side * (1.15 + 0.35 * draw["zoom"])  # side of the crop in base pixels, at most 1.5 * side = cells
    step = span / side
    starts = [(cells - span) * draw[name] for name in ("top", "left")]
    down, across = (
        _tent(start[:, None] + _pixels(length, by) * step[:, None] - 0.5, step, cells)
        for start, length, by in zip(starts, canvas, shift, strict=True)
    )
    rows = down @ bases[photo].reshape(len(photo), cells, cells * 3)  # [n, H, cells * 3]
    rows = rows.reshape(len(photo), canvas[0], cells, 3).transpose(0, 2, 1, 3)
    result = across @ np.ascontiguousarray(rows).reshape(len(photo), cells, canvas[0] * 3)
    return result.reshape(len(photo), canvas[1], canvas[0], 3).transpose(0, 2, 1, 3)


def _plain_colour(draw):
    """One muted colour for each picture, float32 [n, 1, 1, 3] in 0..255."""
    colour = np.stack([draw[name] for name in ("zoom", "top", "left")], axis=-1)
    return (127.5 * (colour + colour.mean(-1, keepdims=True)))[:, None, None, :]


def _tent(centre, step, cells):
    """Resampling weights [n, length, cells] of a tent as wide as the step; reflected outside."""
    centre = np.abs(centre)
    centre = (cells - 1) - np.abs((cells - 1) - centre)
    distance = np.abs(centre[:, :, None] - np.arange(cells, dtype=np.float32))
    weights = np.maximum(0, 1 - distance / step[:, None, None])
    return weights / weights.sum(-1, keepdims=True)


@cache
def _bases(side: int) -> np.ndarray:
    """The used square of every photograph at 1.5 times the picture's side: float32 [12, cells, cells, 3]."""
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
    mask, background = mask[square], background[square] / 255
    weight = 1 - mask
    total = weight.sum((1, 2))
    luma = background @ _LUMA
    mean = (luma * weight).sum((1, 2)) / total
    spread = np.sqrt(np.maximum((luma**2 * weight).sum((1, 2)) / total - mean**2, 0))
    colour = ((background.max(-1) - background.min(-1)) * weight).sum((1, 2)) / total
    warmth = ((background[..., 0] - background[..., 2]) * weight).sum((1, 2)) / total
    none = np.zeros(len(mask), bool)
    names, strokes = ([none] * 10, [none] * 11) if indices is None else _strokes(indices, mask, inverted, tint)
    columns = [*names, *(none if photo is None else photo == p for p in range(len(PHOTO_NAMES))), *strokes]
    columns += [mean > 0.66, mean < 0.18, spread < 0.065]
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
    """Of each mask [n, H, W]: stroke width, lean (pixels to the right per pixel up) and height."""
    area = mask.sum((1, 2))
    down = np.diff(mask, axis=1, append=0)
    across = np.diff(mask, axis=2, append=0)
    perimeter = np.sqrt(down**2 + across**2).sum((1, 2))
    y = np.arange(mask.shape[1], dtype=np.float32)[None]
    x = np.arange(mask.shape[2], dtype=np.float32)[None]
    rows, columns = mask.sum(2), mask.sum(1)
    mean_y, mean_x = (rows * y).sum(1) / area, (columns * x).sum(1) / area
    dy, dx = y - mean_y[:, None], x - mean_x[:, None]
    covariance = ((mask @ dx[:, :, None])[:, :, 0] * dy).sum(1)
    lean = -covariance / (rows * dy**2).sum(1)
    return 2 * area / perimeter, lean, (mask.max(2) > 0.5).sum(1)


@cache
def _usual_lean() -> np.ndarray:
    """The mean lean of each digit's unsheared pictures, float32 [10]: a seven leans by itself."""
    labels = digits().labels
    lean = _shape(np.clip(_fields(), 0, 1))[1]
    return np.array([lean[labels == n].mean() for n in range(10)], np.float32)


def _tints(draw):
    """0 none (40 %), else 1 red, 2 yellow, 3 green, 4 blue (15 % each)."""
    return np.where(draw < 0.4, 0, 1 + np.minimum(((draw - 0.4) / 0.15).astype(np.int64), 3))


def _smoothstep(value, low, high):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
