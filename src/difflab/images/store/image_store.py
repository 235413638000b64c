"""Images of a data set: Parquet shards of encoded bytes in id order, and one index of splits and attributes.

    <folder>/index.parquet              id, split, present, file, sha256, width, height, attributes
    <folder>/images/part-00000.parquet  id, split, source, sha256, image

Rows without an image (`present` is false) stand in the index only.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet, sha256_bytes, write_parquet
from difflab.images.preparing.samples import Sample

INDEX_COLUMNS = ("id", "split", "present", "file", "sha256", "width", "height")
SHARD_BYTES = 500 * 1024**2  # below 512 MB with what Parquet adds
ROW_GROUP_BYTES = 8 * 1024**2  # what reading one image costs at most
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "split", "source", "sha256")] + [("image", pa.binary())]
)


@dataclass(frozen=True)
class ImageRow:
    """One image as it is stored; `image` is an encoded file (JPEG, PNG), `source` its name in the archive."""

    id: str
    split: str
    source: str
    image: bytes

    @cached_property
    def sha256(self) -> str:
        return sha256_bytes(self.image)


def write_images(
    folder: str | Path,
    rows: Iterable[ImageRow],
    shard_bytes: int = SHARD_BYTES,
    row_group_bytes: int = ROW_GROUP_BYTES,
) -> int:
    """Write `rows`, in ascending id order, to shards under `folder`/images; memory holds one row group.

    Returns:
        The number of rows.

    Raises:
        DifflabError: ids are not ascending and unique.
    """
    images = Path(folder) / "images"
    images.mkdir(parents=True, exist_ok=True)
    count, shard, written, writer = 0, 0, 0, None
    try:
        for group in _row_groups(rows, row_group_bytes):
            size = sum(len(row.image) for row in group)
            if writer is not None and written + size > shard_bytes:
                writer.close()
                writer, shard, written = None, shard + 1, 0
            if writer is None:
                writer = pq.ParquetWriter(
                    images / f"part-{shard:05d}.parquet",
                    _SCHEMA,
                    compression={
                        "id": "zstd",
                        "split": "zstd",
                        "source": "zstd",
                        "sha256": "zstd",
                        "image": "none",
                    },
                    use_dictionary=["split"],
                    write_statistics=["id"],
                    write_page_checksum=True,
                )
            writer.write_table(_table(group), row_group_size=len(group))
            count, written = count + len(group), written + size
    finally:
        if writer is not None:
            writer.close()
    return count


def write_index(folder: str | Path, index: pd.DataFrame) -> None:
    """Write the index table (`INDEX_COLUMNS`, then bool attributes), rows in id order."""
    if tuple(index.columns[: len(INDEX_COLUMNS)]) != INDEX_COLUMNS:
        raise ValueError(f"an image index starts with the columns {', '.join(INDEX_COLUMNS)}")
    write_parquet(Path(folder) / "index.parquet", index.sort_values("id"))


def write_store(
    folder: str | Path, samples: Iterable[Sample], table: pd.DataFrame, keep_absent: bool
) -> pd.DataFrame:
    """Write samples, in id order, and their index under `folder`; memory holds one row group of images.

    Args:
        table: by id, the columns file, split, then one bool per attribute; a row for every sample.
        keep_absent: keep the rows of `table` without a sample in the index (present: false).

    Returns:
        The index as written.
    """
    seen: dict[str, tuple[str, int, int]] = {}

    def rows() -> Iterator[ImageRow]:
        for sample in samples:
            row = ImageRow(sample.id, table["split"].at[sample.id], sample.file, sample.image)
            seen[sample.id] = (row.sha256, sample.width, sample.height)
            yield row

    write_images(folder, rows())
    index = table if keep_absent else table.loc[list(seen)]
    facts = [seen.get(id, ("", 0, 0)) for id in index.index]
    columns = {
        "id": index.index.astype(str),
        "split": index["split"].to_numpy(),
        "present": [id in seen for id in index.index],
        "file": index["file"].to_numpy(),
        "sha256": [sha256 for sha256, _, _ in facts],
        "width": [width for _, width, _ in facts],
        "height": [height for _, _, height in facts],
    }
    attributes = index.drop(columns=["file", "split"]).reset_index(drop=True)
    result = pd.concat([pd.DataFrame(columns), attributes], axis=1)
    write_index(folder, result)
    return result


class ImageStore:
    """Read access to a folder written by `write_images` and `write_index`.

    Attributes:
        folder: where it lies.
        table: every row of the index, by id (also rows without an image).
        index: the rows with an image, by id: split, file, sha256, width, height, attributes.
        attributes: bool DataFrame by id, rows with an image.
        ids: the ids with an image, ascending.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "index.parquet"
        if not path.exists():
            raise DifflabError(f"{path} is missing: run `dvc repro` (or `dvc pull`) to make it")
        self.table = read_parquet(path).set_index("id", drop=True)
        self.index = self.table[self.table["present"]]
        self.attributes = self.index[list(self.index.columns[len(INDEX_COLUMNS) - 1 :])].astype(bool)
        self.ids: list[str] = self.index.index.tolist()
        self._files: dict[int, pq.ParquetFile] = {}
        self._held: tuple[tuple[int, int], dict[str, bytes]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def split(self, name: str) -> list[str]:
        """The ids of one split (train, val, test) that have an image, ascending."""
        return self.index.index[self.index["split"] == name].tolist()

    def sha256(self, id: str) -> str:
        """The hash of the stored bytes of an image."""
        return self.index["sha256"].loc[self._known(id)]

    def read(self, ids: Sequence[str]) -> list[Image.Image]:
        """Decode images (PIL, RGB) in the order asked for; fastest when that is id order.

        Raises:
            DifflabError: an id has no image here.
        """
        return [Image.open(io.BytesIO(content)).convert("RGB") for content in self.read_bytes(ids)]

    def read_bytes(self, ids: Sequence[str]) -> list[bytes]:
        """The stored bytes of images, in the order asked for; each row group is read once a call."""
        places = [self._places[self._known(id)] for id in ids]
        result: list[bytes] = [b""] * len(ids)
        for position in sorted(range(len(ids)), key=lambda i: places[i]):
            result[position] = self._row_group(places[position])[ids[position]]
        return result

    def _known(self, id: str) -> str:
        if id not in self._places:
            raise DifflabError(f"{self.folder} has no image '{id}'")
        return id

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """(shard, row group) of every image; only the id columns are read."""
        places = {}
        for shard in range(len(list((self.folder / "images").glob("part-*.parquet")))):
            file = self._file(shard)
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["id"])["id"].to_pylist()
                places.update(dict.fromkeys(ids, (shard, group)))
        if len(places) != len(self.ids):
            raise DifflabError(
                f"{self.folder} holds {len(places)} images, its index {len(self.ids)}: make it again"
            )
        return places

    def _file(self, shard: int) -> pq.ParquetFile:
        if shard not in self._files:
            path = self.folder / "images" / f"part-{shard:05d}.parquet"
            self._files[shard] = pq.ParquetFile(path, page_checksum_verification=True)
        return self._files[shard]

    def _row_group(self, place: tuple[int, int]) -> dict[str, bytes]:
        if self._held is None or self._held[0] != place:
            shard, group = place
            try:
                columns = self._file(shard).read_row_group(group, columns=["id", "image"])
            except OSError as error:
                name = f"{self.folder}/images/part-{shard:05d}.parquet"
                raise DifflabError(
                    f"{name} is damaged ({error}): delete {self.folder}, then run `dvc pull`"
                ) from None
            self._held = (
                place,
                dict(zip(columns["id"].to_pylist(), columns["image"].to_pylist(), strict=True)),
            )
        return self._held[1]


def _row_groups(rows: Iterable[ImageRow], row_group_bytes: int) -> Iterator[list[ImageRow]]:
    group: list[ImageRow] = []
    size, last = 0, ""
    for row in rows:
        if row.id <= last:
            raise DifflabError(f"image '{row.id}' comes after '{last}': ids must be unique and ascending")
        last = row.id
        group.append(row)
        size += len(row.image)
        if size >= row_group_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(group: list[ImageRow]) -> pa.Table:
    columns = {name: [getattr(row, name) for row in group] for name in _SCHEMA.names}
    return pa.Table.from_pydict(columns, schema=_SCHEMA)
