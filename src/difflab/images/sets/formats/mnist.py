"""MNIST in its idx files, each packed by gzip or not, in a folder or a zip.

An idx file starts with the bytes 0, 0, 8 (unsigned bytes) and the number of dimensions, then each dimension as
a big-endian 32-bit number; the values follow. Source: https://yann.lecun.com/exdb/mnist/
"""

import gzip
import io
import math
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError, reading
from difflab.images.archives.opening import whole
from difflab.images.sets.formats.rows import Labelled

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

FILES = {"train": "train", "test": "t10k"}


def read(archive: "Archive") -> dict[str, list[Labelled]]:
    """The images of each split, uint8 [n, 28, 28], light on black, and their labels 0 to 9."""
    return {split: [_read_split(archive, prefix)] for split, prefix in FILES.items()}


def _read_split(archive: "Archive", prefix: str) -> Labelled:
    name, images = _read_idx(archive, f"{prefix}-images-idx3-ubyte", 3)
    label_name, labels = _read_idx(archive, f"{prefix}-labels-idx1-ubyte", 1)
    if images.shape[1:] != (28, 28):
        found = f"{name} holds images of {images.shape[1]} x {images.shape[2]} pixels, those of MNIST have 28 x 28"
    elif len(images) != len(labels):
        found = f"{name} holds {len(images):,} images, {label_name} {len(labels):,} labels"
    elif not len(labels):
        found = f"{label_name} holds no labels"
    elif labels.max() > 9:
        found = f"{label_name} holds the label {labels.max()}, which is none of 0 to 9"
    else:
        return Labelled(name, images, labels)
    raise DifflabError(f"{archive.path}: {found}: fetch both again")


def _read_idx(archive: "Archive", file: str, ndim: int) -> tuple[str, np.ndarray]:
    """The name in the archive and the values, uint8 with `ndim` dimensions, of an idx file or its gzip."""
    base = {name.rpartition("/")[2].casefold() for name in archive.names()}
    found = next((name for name in (file, f"{file}.gz") if name in base), None)
    if found is None:
        raise DifflabError(f"{archive.path} has neither {file} nor {file}.gz: put it there")
    name = archive.locate(found) + found
    where = f"{archive.path}: {name}"
    content = archive.read(name)
    if name.endswith(".gz"):
        with reading(where, "truncated or no gzip file; fetch it again"):
            content = whole(gzip.GzipFile(fileobj=io.BytesIO(content)))
    start = 4 + 4 * ndim
    if content[:4] != bytes([0, 0, 8, ndim]) or len(content) < start:
        raise DifflabError(
            f"{where} does not start as an idx file of {ndim} dimensions (bytes 0 0 8 {ndim}): fetch it again"
        )
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    values = np.frombuffer(content, np.uint8, offset=start)
    if len(values) != math.prod(shape):
        raise DifflabError(f"{where} announces {math.prod(shape):,} values and has {len(values):,}: fetch it again")
    return name, values.reshape(shape)
