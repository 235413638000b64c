"""Archives of generated images, read by sample id and generation seed."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_zip, read_zip_names
from difflab.core.base.store.decoder import decode_image

if TYPE_CHECKING:
    from PIL import Image

_ENTRY = re.compile(r"seed-(\d+)/([^/]+)\.png")


class GeneratedImages:
    """A zip of PNG images, `seed-<generation seed>/<sample id>.png`, as `generated_writer` writes it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DifflabError(f"{self.path} is missing: run `dvc repro` (or `dvc pull`) to make it")
        found = sorted(match.groups() for match in map(_ENTRY.fullmatch, read_zip_names(self.path)) if match)
        if not found:
            raise DifflabError(f"{self.path} has no generated image: delete it and run its stage again")
        self._ids: dict[int, list[str]] = {}
        for seed, id in found:
            self._ids.setdefault(int(seed), []).append(id)
        self.seeds = sorted(self._ids)  # the generation seeds

    @property
    def side(self) -> int:
        """The width of the first image in pixels."""
        return next(self.read(self.seeds[0], self.ids(self.seeds[0])[:1])).width

    def ids(self, seed: int) -> list[str]:
        """The sample ids of one seed, sorted."""
        return self._ids[seed]

    def read(self, seed: int, ids: Sequence[str] | None = None) -> "Iterator[Image.Image]":
        """Images of one seed as RGB, all in the order of `ids(seed)` or those asked for in theirs."""
        chosen = self.ids(seed) if ids is None else ids
        for id, content in zip(chosen, self.read_bytes(seed, chosen), strict=True):
            yield decode_image(content, f"{self.path}: {id}")

    def read_bytes(self, seed: int, ids: Sequence[str]) -> Iterator[bytes]:
        """The PNG files of images of one seed."""
        yield from read_zip(self.path, (f"seed-{seed}/{id}.png" for id in ids))
