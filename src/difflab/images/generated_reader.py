"""Archives of generated images, read by sample id and generation seed."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.images.store.decoder import decode_image

if TYPE_CHECKING:
    from PIL import Image

_ENTRY = re.compile(r"seed-(\d+)/([^/]+)\.png")


class GeneratedImages:
    """A zip of PNG images, `seed-<generation seed>/<sample id>.png`, as `generated_writer` writes it.

    Attributes:
        seeds: the generation seeds, ascending.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DifflabError(f"{self.path} is missing: run `dvc repro` (or `dvc pull`) to make it")
        self._names: dict[int, dict[str, str]] = {}
        with zipfile.ZipFile(self.path) as archive:
            for entry in filter(None, map(_ENTRY.fullmatch, archive.namelist())):
                self._names.setdefault(int(entry[1]), {})[entry[2]] = entry[0]
        if not self._names:
            raise DifflabError(f"{self.path} has no generated image: delete it and run its stage again")
        self.seeds = sorted(self._names)

    def ids(self, seed: int) -> list[str]:
        """The sample ids of one seed, sorted."""
        return sorted(self._names[seed])

    def read(self, seed: int, ids: Sequence[str] | None = None) -> "Iterator[Image.Image]":
        """Images of one seed as RGB, all in the order of `ids(seed)` or those asked for in theirs."""
        chosen = self.ids(seed) if ids is None else ids
        for id, content in zip(chosen, self.read_bytes(seed, chosen), strict=True):
            yield decode_image(content, f"{self.path}: {id}")

    def read_bytes(self, seed: int, ids: Sequence[str]) -> Iterator[bytes]:
        """The PNG files of images of one seed."""
        with zipfile.ZipFile(self.path) as archive:
            for id in ids:
                yield archive.read(self._names[seed][id])
