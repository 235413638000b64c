"""Writing image stores: Parquet shards of encoded bytes, and their index; the layout is that of `image_store`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes, write_parquet

INDEX_COLUMNS = ("id", "split", "present", "file", "sha256", "width", "height")
SHARD_BYTES = 500 * 1024**2  # below 512 MB with what Parquet adds
ROW_GROUP_BYTES = 8 * 1024**2  # what reading one image costs at most
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "split", "source", "sha256")] + [("image", pa.binary())]
)


class Sample(NamedTuple):
    """One prepared image: its id, its file in the archive, its encoded bytes and its size in pixels."""

    id: str
    file: str
    image: bytes
    width: int
    height: int


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
    """Write rows, in ascending id order, to shards under `folder`/images; memory holds one row group.

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
