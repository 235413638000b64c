"""The miniature's archives, in the formats of CelebAMask-HQ and CelebA."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from difflab.core.base import rng as keyed
from difflab.core.base.files import png_bytes, write_zip
from difflab.miniature.archives.set_archives import jpeg
from difflab.miniature.data.blend import ATTRIBUTES, compose_many
from difflab.miniature.data.bundled import hq_digits, hq_images, photo_of
from difflab.miniature.data.sources import digits
from difflab.miniature.data.vocabulary import DIGIT_MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from difflab.miniature.data.blend import Composite

CANVASES = ((36, 36), (36, 48), (40, 56), (48, 36), (48, 64), (56, 40), (64, 48), (64, 64))
"""(height, width) of the images in the wild, pixels; few, so that they are drawn in few batches."""


def write_celeba_hq(path: Path, seed: int) -> None:
    """CelebAMask-HQ.zip: attribute table, mapping to CelebA, CelebA-HQ-img/<n>.jpg (32 x 32), the digits' masks."""
    pictures = {f"{number}.jpg": picture for number, picture in enumerate(hq_images(seed))}
    mapping = "idx        orig_idx    orig_file\n" + "".join(
        f"{number:<10d} {digit:<10d}  {_file(digit)}\n" for number, digit in enumerate(hq_digits(seed).tolist())
    )
    write_zip(
        path,
        [
            ("CelebAMask-HQ/CelebAMask-HQ-attribute-anno.txt", _attribute_table(pictures)),
            ("CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt", mapping.encode()),
            *((f"CelebAMask-HQ/CelebA-HQ-img/{file}", jpeg(picture.image)) for file, picture in pictures.items()),
            *((_mask_file(n), _mask(picture.mask)) for n, picture in enumerate(pictures.values())),
        ],
    )


def write_celeba(path: Path, seed: int) -> None:
    """CelebA.zip: attribute table, "face" boxes around the digits, img_celeba/NNNNNN.jpg of various sizes.

    It shows every digit once, on a larger canvas; the box is the middle of the digit's square.
    """
    chosen = range(len(digits().labels))
    rngs = [keyed.numpy_rng(seed, "bundled celeba image", digit) for digit in chosen]
    canvases = [CANVASES[rng.integers(len(CANVASES))] for rng in rngs]
    offsets = [int(rng.integers(max(c) - min(c) + 1)) for rng, c in zip(rngs, canvases, strict=True)]
    drawn = compose_many(chosen, [photo_of(digit, seed) for digit in chosen], rngs, canvases, offsets)
    pictures = {_file(digit): picture for digit, picture in enumerate(drawn)}
    boxes = [f"{len(pictures)}\nimage_id x_1 y_1 width height\n"]
    for file, canvas, offset in zip(pictures, canvases, offsets, strict=True):
        boxes.append(f"{file} {' '.join(f'{value:4d}' for value in _middle(*canvas, offset))}\n")
    write_zip(
        path,
        [
            ("CelebA/Anno/list_attr_celeba.txt", _attribute_table(pictures)),
            ("CelebA/Anno/list_bbox_celeba.txt", "".join(boxes).encode()),
            *((f"CelebA/Img/img_celeba/{file}", jpeg(picture.image)) for file, picture in pictures.items()),
        ],
    )


def _mask_file(number: int) -> str:
    """Where CelebAMask-HQ keeps the mask of a part of an image: 2,000 images in a folder."""
    return f"CelebAMask-HQ/CelebAMask-HQ-mask-anno/{number // 2000}/{number:05d}_{DIGIT_MASK}.png"


def _mask(covered: np.ndarray) -> bytes:
    return png_bytes(Image.fromarray(covered.astype(np.uint8) * 255))


def _middle(height: int, width: int, offset: int) -> tuple[int, int, int, int]:
    """The box (x, y, width, height) without the outer eighths of the square at `offset`."""
    x, y = (offset, 0) if width > height else (0, offset)
    side = min(height, width)
    margin = side // 8
    return x + margin, y + margin, side - 2 * margin, side - 2 * margin


def _file(digit: int) -> str:
    return f"{digit + 1:06d}.jpg"


def _attribute_table(pictures: "Mapping[str, Composite]") -> bytes:
    lines = [f"{len(pictures)}\n{' '.join(ATTRIBUTES)}\n"]
    for file, picture in pictures.items():
        lines.append(f"{file}  {' '.join(' 1' if value else '-1' for value in picture.attributes.values())}\n")
    return "".join(lines).encode()
