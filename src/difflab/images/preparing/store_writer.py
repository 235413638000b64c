"""Writing image stores: Parquet shards of encoded bytes, and their index; the layout is that of `image_store`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

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
    """
    seen: dict[str, tuple[str, int, int]] = {}

    def rows() -> Iterator[dict[str, str | bytes]]:
        for id, file, image, width, height in samples:
            seen[id] = (sha256_bytes(image), width, height)
            yield dict(id=id, split=table["split"].at[id], source=file, sha256=seen[id][0], image=image)

    _write_shards(Path(folder) / "images", _row_groups(rows(), row_group_bytes), shard_bytes)
    index = (table if keep_absent else table.loc[list(seen)]).rename_axis("id").reset_index()
    facts = [seen.get(id, ("", 0, 0)) for id in index["id"]]
    sizes = pd.DataFrame(facts, columns=["sha256", "width", "height"])
    columns = [index[["id", "split"]], index["id"].isin(list(seen)).rename("present"), index["file"], sizes]
    result = pd.concat([*columns, index.drop(columns=["id", "file", "split"])], axis=1)
    write_parquet(Path(folder) / "index.parquet", result.sort_values("id"))
    return result


def _write_shards(folder: Path, groups: Iterable[list[dict]], shard_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shard, written, writer = 0, 0, None
    try:
        for group in groups:
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
