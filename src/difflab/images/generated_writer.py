"""Writing archives of generated images: a zip of PNG files, `seed-<generation seed>/<sample id>.png`."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from difflab.core.base.files import png_bytes, write_zip


def write_generated(path: str | Path, ids: Sequence[str], images: Mapping[int, Iterable[np.ndarray]]) -> None:
    """Write an archive of the images by generation seed: uint8 [H, W, 3] for each of `ids`."""
    named = ((f"seed-{seed}/{id}.png", i) for seed, made in images.items() for id, i in zip(ids, made, strict=True))
    write_zip(path, ((name, png_bytes(Image.fromarray(image))) for name, image in named))


def join_generated(path: str | Path, parts: Iterable[Path]) -> None:
    """Write the images of several archives, which share none, as one, byte for byte."""
    write_zip(path, (entry for part in parts for entry in _entries(part)))


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)
