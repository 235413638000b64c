"""The miniature's archives, in the formats of CelebAMask-HQ and CelebA."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from difflab.core.base import rng as keyed
from difflab.core.base.files import write_zip
from difflab.miniature.bundled import HQ_IMAGES, hq_attributes, hq_digits, hq_images, photo_of
from difflab.miniature.pictures.blend import ATTRIBUTES, Composite, compose_many
from difflab.miniature.pictures.sources import digits

CANVASES = ((36, 36), (36, 48), (40, 56), (48, 36), (48, 64), (56, 40), (64, 48), (64, 64))
"""(height, width) of the images in the wild, pixels; few, so that they are drawn in few batches."""


def write_celeba_hq(path: Path, seed: int) -> None:
    """CelebAMask-HQ.zip: attribute table, mapping to CelebA, CelebA-HQ-img/<n>.jpg (32 x 32)."""
    rows = ((f"{number}.jpg", row) for number, row in enumerate(hq_attributes(seed).to_numpy()))
    write_zip(
        path,
        [
            ("CelebAMask-HQ/CelebAMask-HQ-attribute-anno.txt", _attribute_table(HQ_IMAGES, rows)),
            ("CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt", _mapping(hq_digits(seed))),
            *(
                (f"CelebAMask-HQ/CelebA-HQ-img/{number}.jpg", _jpeg(composite.image))
                for number, composite in enumerate(hq_images(seed))
            ),
        ],
    )


def write_celeba(path: Path, seed: int) -> None:
    """CelebA.zip: attribute table, "face" boxes around the digits, img_celeba/NNNNNN.jpg of various sizes."""
    pictures = _in_the_wild(seed)
    rows = ((_file(n), p.attributes.values()) for n, (p, _) in enumerate(pictures))
    boxes = "".join(f"{_file(n)} {' '.join(f'{value:4d}' for value in box)}\n" for n, (_, box) in enumerate(pictures))
    header = f"{len(pictures)}\nimage_id x_1 y_1 width height\n"
    write_zip(
        path,
        [
            ("CelebA/Anno/list_attr_celeba.txt", _attribute_table(len(pictures), rows)),
            ("CelebA/Anno/list_bbox_celeba.txt", (header + boxes).encode()),
            *((f"CelebA/Img/img_celeba/{_file(n)}", _jpeg(p.image)) for n, (p, _) in enumerate(pictures)),
        ],
    )


Box = tuple[int, int, int, int]


def _in_the_wild(seed: int) -> list[tuple[Composite, Box]]:
    """Every digit on a larger canvas, and the box (x, y, width, height) of the middle of its square."""
    rngs = [keyed.numpy_rng(seed, "bundled celeba image", digit) for digit in range(len(digits().labels))]
    canvases = [CANVASES[rng.integers(len(CANVASES))] for rng in rngs]
    offsets = [int(rng.integers(max(c) - min(c) + 1)) for rng, c in zip(rngs, canvases, strict=True)]
    pictures: dict[int, tuple[Composite, Box]] = {}
    for canvas in CANVASES:
        chosen = [digit for digit in range(len(rngs)) if canvases[digit] == canvas]
        photo_names = [photo_of(digit, seed) for digit in chosen]
        drawn = compose_many(chosen, photo_names, [rngs[d] for d in chosen], canvas, [offsets[d] for d in chosen])
        for digit, picture in zip(chosen, drawn, strict=True):
            pictures[digit] = picture, _middle(canvas, offsets[digit])
    return [pictures[digit] for digit in range(len(rngs))]


def _middle(canvas: tuple[int, int], offset: int) -> Box:
    height, width = canvas
    side = min(canvas)
    x, y = (offset, 0) if width > height else (0, offset)
    margin = side // 8
    return x + margin, y + margin, side - 2 * margin, side - 2 * margin


def _file(digit: int) -> str:
    return f"{digit + 1:06d}.jpg"


def _attribute_table(count: int, rows: Iterable[tuple[str, Iterable[bool]]]) -> bytes:
    return "".join(_attribute_lines(count, rows)).encode()


def _attribute_lines(count: int, rows: Iterable[tuple[str, Iterable[bool]]]) -> Iterator[str]:
    yield f"{count}\n{' '.join(ATTRIBUTES)}\n"
    for file, values in rows:
        yield f"{file}  {' '.join(' 1' if value else '-1' for value in values)}\n"


def _mapping(chosen: np.ndarray) -> bytes:
    lines = [f"{number:<10d} {digit:<10d}  {_file(digit)}\n" for number, digit in enumerate(chosen.tolist())]
    return ("idx        orig_idx    orig_file\n" + "".join(lines)).encode()


def _jpeg(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()
