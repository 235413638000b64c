"""The mixed data set: rows of originals and of synthetic pictures, their images, and captions of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.image_store import ImageStore

if TYPE_CHECKING:
    from PIL import Image

SOURCES = {"original": ["original"], "mixed": ["original", "synthetic"], "synthetic": ["synthetic"]}
"""The sources of a training set, by its name."""

FOLDERS = {"original": "images/recipes", "synthetic": "synthetic"}
_TOGETHER = 256  # images in memory


class MixedSet:
    """Read access to data/mixed and to the stores that its rows come from."""

    def __init__(self, root: Path = Path("data")) -> None:
        path = root / "mixed" / "rows.parquet"
        if not path.exists():
            raise DifflabError(f"{path} is missing: run `dvc repro mix` (or `dvc pull`) to make it")
        self.rows = read_parquet(path)  # id, source (original or synthetic), group, split and titles
        self._stores = {source: ImageStore(root / folder) for source, folder in FOLDERS.items()}

    def part(self, split: str, data: str = "mixed") -> pd.DataFrame:
        """The rows of a split (train, val, test) whose source belongs to the training set `data`; none is an error."""
        rows = self.rows[(self.rows["split"] == split) & self.rows["source"].isin(SOURCES[data])]
        if rows.empty:
            raise DifflabError(f"data/mixed has no {' or '.join(SOURCES[data])} row in {split}: run `dvc repro mix`")
        return rows

    def images(self, rows: pd.DataFrame) -> "Iterator[list[Image.Image]]":
        """The pictures of some rows, RGB, in their order, in lists of at most 256."""
        for start in range(0, len(rows), _TOGETHER):
            chunk = rows.iloc[start : start + _TOGETHER]
            images: dict[str, Image.Image] = {}
            for source, own in chunk.groupby("source")["id"]:
                images |= zip(own, self._stores[source].read(own.tolist()), strict=True)
            yield [images[id] for id in chunk["id"]]

    def caption_test(self, name: str, captioner: "Callable[[list[Image.Image]], list[str]]") -> str:
        """Write the captions of the test images as those of seed 0; returns what was written, in words."""
        test, path = self.part("test"), f"data/captioner/{name}.parquet"
        captions = [caption for images in self.images(test) for caption in captioner(images)]
        self.write_captions(path, test, {"seed-0": captions})
        return f"wrote {path}, {len(captions)} captions, {len(set(captions))} distinct"

    def write_captions(self, path: str | Path, rows: pd.DataFrame, captions: Mapping[str, Sequence[str]]) -> None:
        """Write the captions of some rows, by the name of their captioner, as the variants of a captions table."""
        sha256 = [self._stores[source].sha256(id) for source, id in zip(rows["source"], rows["id"], strict=True)]
        tables = [
            pd.DataFrame({"id": rows["id"], "variant": name, "caption": own, "source_sha256": sha256})
            for name, own in captions.items()
        ]
        write_captions(path, pd.concat(tables))
