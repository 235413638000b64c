"""Writing generated images: archives, zips of PNG files `seed-<generation seed>/<sample id>.png`, and grids of them."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_zip

PADDING = 2  # pixels between the pictures of a grid


def write_generated(path: str | Path, ids: Sequence[str], images: Mapping[int, Iterable[np.ndarray]]) -> None:
    """Write an archive of the images by generation seed: uint8 [H, W, 3] for each of `ids`.

    Raises:
        DifflabError: an id occurs twice, or an image is of another kind, such as floats in an unknown range.
    """
    if len(set(ids)) < len(ids):
        raise DifflabError(f"{path}: an id is listed twice among {len(ids)}: each picture needs its own")
    named = ((f"seed-{seed}/{id}.png", i) for seed, made in images.items() for id, i in zip(ids, made, strict=True))
    write_zip(path, ((name, png_bytes(Image.fromarray(checked(image, name)))) for name, image in named))


def checked(image: np.ndarray, name: str) -> np.ndarray:
    """The image itself, which must be uint8 [H, W, 3]: as floats its range is unknown, and NaN would become black."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DifflabError(f"{name} is {image.dtype} {image.shape}: uint8 [H, W, 3] is needed (`to_uint8` makes it)")
    return image


def join_generated(path: str | Path, parts: Iterable[Path]) -> None:
    """Write the images of several archives, which share none, as one, byte for byte."""
    write_zip(path, (entry for part in parts for entry in _entries(part)))


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def grid(images: Sequence[np.ndarray], ncols: int, padding: int = PADDING) -> Image.Image:
    """Tile uint8 images [H, W, 3] of one size on white, row by row, `ncols` in each.

    Images smaller than 64 pixels are enlarged by a whole factor, pixel by pixel, so that one can see them.
    """
    if not len(images):
        raise DifflabError("a grid needs at least one image")
    factor = max(1, -(-64 // max(images[0].shape[:2])))
    shown = [checked(np.asarray(image), "a picture of the grid") for image in images]
    tiles = [image.repeat(factor, axis=0).repeat(factor, axis=1) for image in shown]
    height, width, _ = tiles[0].shape
    ncols = min(ncols, len(tiles))
    nrows = -(-len(tiles) // ncols)
    shape = (nrows * (height + padding) + padding, ncols * (width + padding) + padding, 3)
    canvas = np.full(shape, 255, np.uint8)
    for number, tile in enumerate(tiles):
        top = padding + (number // ncols) * (height + padding)
        left = padding + (number % ncols) * (width + padding)
        canvas[top : top + height, left : left + width] = tile
    return Image.fromarray(canvas)


def tiles(picture: np.ndarray, ncols: int, count: int) -> list[np.ndarray]:
    """The first `count` images of what `grid` made in `ncols` columns; uint8 [side, side, 3] each."""
    step = (picture.shape[1] - PADDING) // ncols
    corners = [(PADDING + i // ncols * step, PADDING + i % ncols * step) for i in range(count)]
    return [picture[top : top + step - PADDING, left : left + step - PADDING] for top, left in corners]
