"""Archives of generated images, read by sample id and generation seed."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from PIL import Image

from difflab.core.base.errors import DifflabError


class GeneratedImages:
    """A zip of PNG images named `<sample id>.png`, in a folder per generation seed (`seed-0/hq-00012.png`).

    Attributes:
        seeds: the generation seeds, ascending; 0 for an archive without folders.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DifflabError(f"{self.path} is missing: run `dvc repro` (or `dvc pull`) to make it")
        self._names: dict[int, dict[str, str]] = {}
        with zipfile.ZipFile(self.path) as archive:
            for name in archive.namelist():
                if name.endswith(".png"):
                    entry = PurePosixPath(name)
                    self._names.setdefault(_seed(entry.parent.name), {})[entry.stem] = name
        if not self._names:
            raise DifflabError(f"{self.path} has no PNG image: delete it and run its stage again")
        self.seeds = sorted(self._names)

    def ids(self, seed: int) -> list[str]:
        """The sample ids of one seed, sorted."""
        return sorted(self._names[seed])

    def read(self, seed: int) -> Iterator[Image.Image]:
        """The images of one seed as RGB, in the order of `ids(seed)`."""
        with zipfile.ZipFile(self.path) as archive:
            for sample in self.ids(seed):
                yield Image.open(io.BytesIO(archive.read(self._names[seed][sample]))).convert("RGB")


def _seed(folder: str) -> int:
    number = re.search(r"\d+$", folder)
    return int(number[0]) if number else 0
