"""The training curve: losses between two validations, one row each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

from difflab.core.base.errors import DifflabError

Row = dict[str, float | None]
NOT_METRICS = ("learning_rate", "grad_norm")
CURVE_GAPS = ("train_loss", "val_loss", "grad_norm", "learning_rate")  # a row may have no value, see `Curve.add`


@dataclass
class Curve:
    """Rows every `interval` steps, at the start and at the end."""

    interval: int
    last_step: int
    rows: list[Row]  # step, samples_seen, train_loss, val_loss, learning_rate, grad_norm, ...; None for no value
    window: dict[str, list[float]]  # scalars of training since the last row

    def due(self, step: int) -> bool:
        """Whether a row belongs after `step` updates and is not there yet (a resumed run may have it)."""
        if self.rows and cast("float", self.rows[-1]["step"]) >= step:
            return False
        return step % self.interval == 0 or step == self.last_step

    def add(self, step: int, samples_seen: int, learning_rate: float, validation: dict[str, float]) -> None:
        """Add a row; scalars of training are means of the window, the learning rate is that of the next step."""
        means = {name: fmean(values) for name, values in self.window.items()}
        row: Row = {"step": step, "samples_seen": samples_seen, "train_loss": None, "val_loss": None}
        row |= {"learning_rate": learning_rate, "grad_norm": None}
        if bad := [name for name, value in (means | validation).items() if not math.isfinite(value)]:
            raise DifflabError(
                f"{bad[0]} is {(means | validation)[bad[0]]} after step {step}: lower the learning rate, then run again"
            )
        self.rows.append(row | means | validation)
        self.window.clear()


def best_row(rows: Sequence[Mapping[str, float | None]]) -> Mapping[str, float | None] | None:
    """The first row of the lowest validation loss; None where no such loss is finite."""
    found = [row for row in rows if row["val_loss"] is not None and math.isfinite(row["val_loss"])]
    return min(found, key=lambda row: cast("float", row["val_loss"]), default=None)


def final_metrics(rows: list[Row]) -> dict[str, float]:
    """The last row, without what says nothing about the result."""
    return {k: v for k, v in rows[-1].items() if v is not None and k not in NOT_METRICS}
