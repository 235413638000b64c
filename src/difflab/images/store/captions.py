"""The captions table: one Parquet file per captioner, one row per (sample id, variant)."""

from pathlib import Path

import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet, write_parquet

COLUMNS = ("id", "variant", "caption", "source_sha256")


def write_captions(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a captions table in (id, variant) order, the same bytes for the same rows in any order.

    Args:
        path: the Parquet file.
        frame: columns `id`, `variant`, `caption` (one line, no surrounding space) and `source_sha256`, the
            hash of what the caption was made from (the image, or the short caption and the facts).

    Raises:
        DifflabError: a column is missing, an (id, variant) pair occurs twice, or a caption is not one line.
    """
    check(frame, str(path))
    ordered = frame.loc[:, list(COLUMNS)].sort_values(["id", "variant"], kind="stable").reset_index(drop=True)
    write_parquet(path, ordered.astype(object))


def read_captions(path: str | Path, variant: str | None = None) -> pd.DataFrame:
    """Read and check a captions table; with `variant`, only its rows, indexed by id.

    Raises:
        DifflabError: the file is absent or malformed, or holds no caption of that variant.
    """
    if not Path(path).exists():
        raise DifflabError(f"{path} is missing: run `dvc repro` (or `dvc pull`) to make it")
    frame = read_parquet(path)
    check(frame, str(path))
    if variant is None:
        return frame
    rows = frame[frame["variant"] == variant]
    if rows.empty:
        raise DifflabError(f"{path} has no '{variant}' captions, only {', '.join(sorted(set(frame['variant'])))}")
    return rows.set_index("id")


def check(frame: pd.DataFrame, what: str) -> None:
    """Refuse a frame that is not a captions table; `what` names it in the message."""
    missing = [c for c in COLUMNS if c not in frame.columns]
    if missing:
        raise DifflabError(f"{what} lacks the column {missing[0]}: a captions table has {', '.join(COLUMNS)}")
    twice = frame.duplicated(["id", "variant"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise DifflabError(f"{what} has two '{row['variant']}' captions of {row['id']}: keep one per id and variant")
    for id, variant, caption in zip(frame["id"], frame["variant"], frame["caption"], strict=True):
        if not isinstance(caption, str) or caption != " ".join(caption.split()):
            raise DifflabError(f"{what}: the '{variant}' caption of {id} is not one clean line: {caption!r}")
