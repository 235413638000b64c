"""Images of a data set by sample id: Parquet shards of encoded bytes, and an index of splits and attributes.

    <folder>/index.parquet              id, split, present, file, sha256, width, height, attributes
    <folder>/images/part-00000.parquet  id, split, source, sha256, image

Rows without an image (`present` is false) stand in the index only.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_parquet
from difflab.core.base.store.decoder import decode_image


class ImageStore:
    """Read access to a folder written by `store_writer`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "index.parquet"
        if not path.exists():
            raise DifflabError(f"{path} is missing: run `dvc repro` (or `dvc pull`) to make it")
        with reading(path, f"delete {self.folder}, then run `dvc pull`"):
            self.table = read_parquet(path).set_index("id")  # every row, by id
            self.index = self.table[self.table["present"]]  # the rows with an image; also in what follows
            self.attributes = self.index.loc[:, "height":].iloc[:, 1:].astype(bool)
            self.ids: list[str] = self.index.index.tolist()  # ascending
            self.index[["split", "sha256"]]  # KeyError where a name is damaged
        self._held: tuple[tuple[int, int] | None, dict[str, bytes]] = (None, {})

    def __len__(self) -> int:
        return len(self.ids)

    def split(self, name: str) -> list[str]:
        """The ids of one split (train, val, test) that have an image, ascending."""
        return self.index.index[self.index["split"] == name].tolist()

    def sha256(self, id: str) -> str:
        """The hash of the stored bytes of an image."""
        self._place(id)  # refuses an unknown id
        return self.index["sha256"].loc[id]

    def read(self, ids: Sequence[str]) -> list[Image.Image]:
        """Decode images (PIL, RGB) in the order asked for; fastest when that is id order."""
        return [decode_image(content, id) for content, id in zip(self.read_bytes(ids), ids, strict=True)]

    def read_bytes(self, ids: Sequence[str]) -> list[bytes]:
        """The stored bytes of images, in the order asked for; each row group is read once a call."""
        contents = {id: self._row_group(self._place(id))[id] for id in sorted(ids, key=self._place)}
        return [contents[id] for id in ids]

    def _place(self, id: str) -> tuple[int, int]:
        if id not in self._places:
            raise DifflabError(f"{self.folder} has no image '{id}'")
        return self._places[id]

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """(shard, row group) of every image; only the id columns are read."""
        places = {}
        for shard, file in enumerate(self._files):
            with self._reading(shard):
                for group in range(file.num_row_groups):
                    ids = file.read_row_group(group, columns=["id"])["id"].to_pylist()
                    places.update(dict.fromkeys(ids, (shard, group)))
        if len(places) != len(self.ids):
            raise DifflabError(f"{self.folder} holds {len(places)} images, its index {len(self.ids)}: make it again")
        return places

    @cached_property
    def _files(self) -> list[pq.ParquetFile]:
        paths = sorted((self.folder / "images").glob("part-*.parquet"))
        files = []
        for shard, path in enumerate(paths):
            with self._reading(shard):
                files.append(pq.ParquetFile(path, page_checksum_verification=True))
        return files

    def _reading(self, shard: int) -> AbstractContextManager[None]:
        return reading(f"{self.folder}/images/part-{shard:05d}.parquet", f"delete {self.folder}, then run `dvc pull`")

    def _row_group(self, place: tuple[int, int]) -> dict[str, bytes]:
        if self._held[0] != place:
            shard, group = place
            with self._reading(shard):
                columns = self._files[shard].read_row_group(group, columns=["id", "image"])
                held = dict(zip(columns["id"].to_pylist(), columns["image"].to_pylist(), strict=True))
            self._held = (place, held)
        return self._held[1]
