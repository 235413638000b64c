"""Writing generated images: archives, zips of PNG files `seed-<generation seed>/<sample id>.png`, and grids of them."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, read_zip, read_zip_names, write_zip

PADDING = 2  # pixels between the pictures of a grid
SMALLEST, LARGEST = 64, 256  # sides of a picture in a grid
_THREADS = min(8, os.cpu_count() or 1)  # that encode; PNG takes a third of a second for 1024 x 1024 pixels


def write_generated(path: str | Path, ids: Sequence[str], images: Mapping[int, Iterable[np.ndarray]]) -> None:
    """Write an archive of the images by generation seed: uint8 [H, W, 3] for each of `ids`.

    They are encoded in threads while the following ones are made.

    Raises:
        DifflabError: an id occurs twice, or an image is of another kind, such as floats in an unknown range.
    """
    if len(set(ids)) < len(ids):
        raise DifflabError(f"{path}: an id is listed twice among {len(ids)}: each picture needs its own")
    named = ((f"seed-{seed}/{id}.png", i) for seed, made in images.items() for id, i in zip(ids, made, strict=True))
    write_zip(path, _encoded((name, checked(image, name)) for name, image in named))


def _encoded(images: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, bytes]]:
    """Named images as PNG files, in order; at most 8 for each thread wait. What an encoding raises is raised here."""
    with ThreadPoolExecutor(_THREADS, "png") as pool:
        waiting = deque()
        try:
            for name, image in images:
                waiting.append((name, pool.submit(png_bytes, Image.fromarray(image))))
                if waiting[0][1].done() or len(waiting) > 8 * _THREADS:
                    done, content = waiting.popleft()
                    yield done, content.result()
            for name, content in waiting:
                yield name, content.result()
        finally:
            pool.shutdown(cancel_futures=True)


def checked(image: np.ndarray, name: str) -> np.ndarray:
    """The image itself, which must be uint8 [H, W, 3]: as floats its range is unknown, and NaN would become black."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DifflabError(f"{name} is {image.dtype} {image.shape}: uint8 [H, W, 3] is needed (`to_uint8` makes it)")
    return image


def join_generated(path: str | Path, parts: Iterable[Path]) -> None:
    """Write the images of several archives, which share none, as one, byte for byte."""
    write_zip(path, (entry for part in parts for entry in _entries(part)))


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    names = read_zip_names(path)
    return zip(names, read_zip(path, names), strict=True)


def grid(images: Sequence[np.ndarray], ncols: int, padding: int = PADDING) -> Image.Image:
    """Tile uint8 images [H, W, 3] of one size on white, row by row, `ncols` in each.

    Images smaller than 64 pixels are enlarged by a whole factor, pixel by pixel, so that one can see them; those larger
    than 256 are made smaller, for a grid stands in Git.
    """
    if not len(images):
        raise DifflabError("a grid needs at least one image")
    shown = [checked(np.asarray(image), "a picture of the grid") for image in images]
    side = max(shown[0].shape[:2])
    if side > LARGEST:
        height, width = (max(1, round(length * LARGEST / side)) for length in shown[0].shape[:2])
        tiles = [np.asarray(Image.fromarray(i).resize((width, height), Image.Resampling.LANCZOS)) for i in shown]
    else:
        factor = max(1, -(-SMALLEST // side))
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


def figure_drawn(side: int) -> np.ndarray:
    """What stands for the picture of a real person: a drawn figure, uint8 [side, side, 3]."""
    canvas = Image.new("RGB", (side, side), "#e8eaee")
    draw, grey, unit = ImageDraw.Draw(canvas), "#b4bac4", side / 16
    draw.ellipse([5 * unit, 3 * unit, 11 * unit, 9 * unit], grey)
    draw.ellipse([2.5 * unit, 10 * unit, 13.5 * unit, 22 * unit], grey)
    return np.asarray(canvas)


def tiles(picture: np.ndarray, ncols: int, count: int) -> list[np.ndarray]:
    """The first `count` images of what `grid` made in `ncols` columns; uint8 [side, side, 3] each."""
    step = (picture.shape[1] - PADDING) // ncols
    corners = [(PADDING + i // ncols * step, PADDING + i % ncols * step) for i in range(count)]
    return [picture[top : top + step - PADDING, left : left + step - PADDING] for top, left in corners]
