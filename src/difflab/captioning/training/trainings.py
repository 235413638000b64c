"""Which captioners are trained on one kind of data: one for each number of originals and each seed."""

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from difflab.captioning.mixed_set import SOURCES
from difflab.core.base import rng
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.captioning.params import CaptionerParams

_ALL, _SOME = "seed-{seed}", "originals-{originals}-seed-{seed}"


class Training(NamedTuple):
    """One captioner; its captions are a variant of this name."""

    originals: int | None  # how many originals it, or what it is trained on, was made from; None: all
    seed: int

    @property
    def name(self) -> str:
        """`seed-0`, or `originals-25-seed-0`."""
        return (_ALL if self.originals is None else _SOME).format(**self._asdict())


def parse(name: str) -> Training:
    """The training of this name."""
    some, _, seed = name.rpartition("seed-")
    return Training(int(some.removeprefix("originals-").removesuffix("-")) if some else None, int(seed))


def trainings(settings: "CaptionerParams", data: str) -> list[Training]:
    """All trainings on one kind of data: those on all originals first, then by size; the seeds of each ascending.

    Synthetic pictures alone are those of all originals: the curve is of originals without and with them.
    """
    sizes = sorted(size for size in settings.originals if size is not None and data != "synthetic")
    whole = [Training(None, seed) for seed in sorted(settings.seeds)]
    return whole + [Training(size, seed) for size in sizes for seed in sorted(settings.subset_seeds)]


def training_rows(rows: pd.DataFrame, data: str, originals: int | None, seed: int) -> pd.DataFrame:
    """What a captioner is trained on: so many originals, the synthetic pictures made from their titles, or both.

    Originals are drawn by the training's seed: fewer ones are among the more, and all kinds of data draw the same. So
    the spread over seeds holds that of the draw. A synthetic picture of an original that is not drawn stays away,
    since it shows what only that original's title says.

    Args:
        rows: of the mixed data set, of its training split.
        data: original, mixed or synthetic.

    Raises:
        DifflabError: there are no more originals than that.
    """
    if originals is not None:
        ids = rows.loc[rows["source"] == "original", "id"]
        if originals >= len(ids):
            raise DifflabError(
                f"captioner.originals lists {originals}, but data/mixed has {len(ids)} to train on: list fewer; null is all"
            )
        drawn = sorted(ids, key=lambda id: (rng.key(seed, "originals", id), id))[:originals]
        made_from = rows["id"].where(rows["source"] == "original", rows["id"].str.rpartition("-v")[0])
        rows = rows[made_from.isin(drawn)]
    return rows[rows["source"].isin(SOURCES[data])]
