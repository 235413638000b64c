"""MNIST in its idx files, each packed by gzip or not, in a folder or a zip.

An idx file starts with the bytes 0, 0, 8 (unsigned bytes) and the number of dimensions, then each dimension as
a big-endian 32-bit number; the values follow. Source: https://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.images.sets.formats.labelled import Labelled

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive

SIDE = 28
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def read(archive: "Archive") -> dict[str, list[Labelled]]:
    """The images of each split, uint8 [n, 28, 28], light on black, and their labels.

    Raises:
        DifflabError: a file is missing, is no idx file, or does not belong to the other.
    """
    return {split: [_read_split(archive, *files)] for split, files in FILES.items()}


def _read_split(archive: "Archive", image_file: str, label_file: str) -> Labelled:
    name, images = read_idx(archive, image_file, 3)
    label_name, labels = read_idx(archive, label_file, 1)
    if images.shape[1:] != (SIDE, SIDE):
        found = " x ".join(map(str, images.shape[1:]))
        raise DifflabError(
            f"{archive.path}: {name} holds images of {found} pixels, those of MNIST have 28 x 28: fetch it again"
        )
    if len(images) != len(labels):
        raise DifflabError(
            f"{archive.path}: {name} holds {len(images):,} images, {label_name} {len(labels):,} labels: "
            "fetch both again"
        )
    if not len(images) or labels.max() >= len(NAMES):
        found = f"the label {labels.max()}, which is none of 0 to 9" if len(labels) else "no labels"
        raise DifflabError(f"{archive.path}: {label_name} holds {found}: fetch it again")
    return Labelled(name, images, labels)


def read_idx(archive: "Archive", file: str, ndim: int) -> tuple[str, np.ndarray]:
    """The name in the archive and the values, uint8 with `ndim` dimensions, of an idx file or its gzip."""
    name = _member(archive, file)
    content = archive.read(name)
    if name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise DifflabError(
                f"{archive.path}: {name} is truncated or no gzip file ({error}): fetch it again"
            ) from None
    start = 4 + 4 * ndim
    if content[:4] != bytes([0, 0, 8, ndim]) or len(content) < start:
        raise DifflabError(
            f"{archive.path}: {name} does not start as an idx file of {ndim} dimensions (bytes 0 0 8 {ndim}): "
            "fetch it again"
        )
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    if len(content) - start != math.prod(shape):
        raise DifflabError(
            f"{archive.path}: {name} announces {math.prod(shape):,} values and has {len(content) - start:,}: "
            "fetch it again"
        )
    return name, np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _member(archive: "Archive", file: str) -> str:
    names = {name.rpartition("/")[2] for name in archive.names() if not name.startswith("__MACOSX/")}
    for name in (file, f"{file}.gz"):
        if name in names:
            return archive.locate(name) + name
    raise DifflabError(f"{archive.path} has neither {file} nor {file}.gz: put it there")
