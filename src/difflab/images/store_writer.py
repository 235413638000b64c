"""Writing image stores: Parquet shards of encoded bytes, and their index; the layout is that of `image_store`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes, write_parquet

SHARD_BYTES = 500 * 1024**2  # below 512 MB with what Parquet adds
ROW_GROUP_BYTES = 8 * 1024**2  # what reading one image costs at most
_TEXTS = ("id", "split", "source", "sha256")
_SCHEMA = pa.schema([(name, pa.string()) for name in _TEXTS] + [("image", pa.binary())])
_FORMAT = {
    "compression": dict.fromkeys(_TEXTS, "zstd") | {"image": "none"},
    "use_dictionary": ["split"],
    "write_statistics": ["id"],
    "write_page_checksum": True,
}


class Sample(NamedTuple):
    """One prepared image: its id, its file in the archive, its encoded bytes and its size in pixels."""

    id: str
    file: str
    image: bytes
    width: int
    height: int


def write_store(
    folder: str | Path,
    samples: Iterable[Sample],
    table: pd.DataFrame,
    keep_absent: bool,
    shard_bytes: int = SHARD_BYTES,
    row_group_bytes: int = ROW_GROUP_BYTES,
) -> pd.DataFrame:
    """Write samples, in id order, and their index under `folder`; memory holds one row group of images.

    Args:
        table: by id, the columns file, split, then one bool per attribute; a row for every sample.
        keep_absent: keep the rows of `table` without a sample in the index (present: false).

    Returns:
        The index as written: id, split, present, file, sha256, width, height, then the attributes.

    Raises:
        DifflabError: ids are not ascending and unique.
    """
    seen: dict[str, tuple[str, int, int]] = {}

    def rows() -> Iterator[dict[str, Any]]:
        for sample in samples:
            sha256 = sha256_bytes(sample.image)
            seen[sample.id] = (sha256, sample.width, sample.height)
            values = (sample.id, table["split"].at[sample.id], sample.file, sha256, sample.image)
            yield dict(zip(_SCHEMA.names, values, strict=True))

    _write_shards(Path(folder) / "images", rows(), shard_bytes, row_group_bytes)
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
    write_parquet(Path(folder) / "index.parquet", result.sort_values("id"))
    return result


def _write_shards(folder: Path, rows: Iterable[dict], shard_bytes: int, row_group_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shard, written, writer = 0, 0, None
    try:
        for group in _row_groups(rows, row_group_bytes):
            size = sum(len(row["image"]) for row in group)
            if writer is not None and written + size > shard_bytes:
                writer.close()
                writer, shard, written = None, shard + 1, 0
            if writer is None:
                writer = pq.ParquetWriter(folder / f"part-{shard:05d}.parquet", _SCHEMA, **_FORMAT)
            writer.write_table(pa.Table.from_pylist(group, _SCHEMA), row_group_size=len(group))
            written += size
    finally:
        if writer is not None:
            writer.close()


def _row_groups(rows: Iterable[dict], row_group_bytes: int) -> Iterator[list[dict]]:
    group: list[dict] = []
    size, last = 0, ""
    for row in rows:
        if row["id"] <= last:
            raise DifflabError(f"image '{row['id']}' comes after '{last}': ids must be unique and ascending")
        last = row["id"]
        group.append(row)
        size += len(row["image"])
        if size >= row_group_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group
