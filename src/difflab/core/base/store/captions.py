"""The captions table: one Parquet file per captioner, one row per (sample id, variant)."""

from pathlib import Path
from typing import TypeGuard

import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet, write_parquet

COLUMNS = ["id", "variant", "caption", "source_sha256"]


def write_captions(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a captions table in (id, variant) order, the same bytes for the same rows in any order.

    Its columns are `id`, `variant`, `caption` (one line, no surrounding space) and `source_sha256`, the hash of what
    the caption was made from (the image, or the short caption and the facts).
    """
    check(frame, str(path))
    ordered = frame[COLUMNS].sort_values(["id", "variant"], kind="stable", ignore_index=True)
    write_parquet(path, ordered.astype(object))


def read_captions(path: str | Path, variant: str | None = None) -> pd.DataFrame:
    """Read and check a captions table; with `variant`, only its rows, indexed by id."""
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


def has_word(text: object) -> TypeGuard[str]:
    """Whether a value is text with a letter or a digit of any script: no measure of captions finds a word in another."""
    return isinstance(text, str) and any(c.isalnum() for c in text)


def check(frame: pd.DataFrame, what: str) -> None:
    """Refuse a frame that is not a captions table; `what` names it in the message."""
    if missing := [column for column in COLUMNS if column not in frame]:
        raise DifflabError(f"{what} lacks the column {missing[0]}: a captions table has {', '.join(COLUMNS)}")
    for row in frame[frame.duplicated(["id", "variant"])].itertuples():
        raise DifflabError(f"{what} has two '{row.variant}' captions of {row.id}: keep one per id and variant")
    for id, variant, caption in zip(frame["id"], frame["variant"], frame["caption"], strict=True):
        if not isinstance(caption, str) or caption != " ".join(caption.split()):
            raise DifflabError(f"{what}: the '{variant}' caption of {id} is not one clean line: {caption!r}")
