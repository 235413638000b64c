"""The table of title variations, as the stages that make pictures of them read it."""

from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet

_COLUMNS = ("id", "number", "title")


def read_variations(path: str | Path) -> dict[str, str]:
    """Titles by variation id `<id>-v<number>`, in the order of ids, from a table id, number, title.

    Raises:
        DifflabError: the table is missing or empty, lacks a column, has a variation twice, or a title is no text.
    """
    if not Path(path).exists():
        raise DifflabError(f"{path} is missing: run `dvc repro vary_titles` (or `dvc pull`) to make it")
    frame = read_parquet(path)
    if missing := [name for name in _COLUMNS if name not in frame.columns]:
        raise DifflabError(f"{path} lacks the column {missing[0]}: variations have {', '.join(_COLUMNS)}")
    if frame.empty:
        raise DifflabError(f"{path} has no variation: see the reasons in data/titles/quarantine.csv")
    bad = [n for n, title in enumerate(frame["title"]) if not isinstance(title, str) or not title.strip()]
    if bad:
        rows = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        raise DifflabError(f"{path} has {len(bad)} rows without a title (rows {rows}): run `dvc repro -f vary_titles`")
    ids = [f"{row.id}-v{row.number}" for row in frame.itertuples()]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise DifflabError(f"{path} has the variation {twice} twice: run `dvc repro -f vary_titles`")
    return dict(sorted(zip(ids, frame["title"], strict=True)))


def first_variations(titles: dict[str, str], count: int) -> dict[str, str]:
    """At most `count` of the variations: one of each title, in the order of ids, before the second of any."""
    ids = sorted(titles, key=lambda id: (int(id.rpartition("-v")[2]), id))[:count]
    return {id: titles[id] for id in ids}
