"""The training curve: losses between two validations, one row each."""

from typing import Any

from difflab.training.status import mean

Row = dict[str, float | None]


class Curve:
    """Rows every `interval` steps, at the start and at the end.

    Attributes:
        rows: {"step", "images_seen", "train_loss", "lr", ...}.
        window: training losses since the last row.
    """

    def __init__(self, interval: int, last_step: int, rows: list[Row], window: list[float]) -> None:
        self.interval, self.last_step = interval, last_step
        self.rows, self.window = rows, window

    def due(self, step: int) -> bool:
        """Whether a row belongs after `step` updates and is not there yet (a resumed run may have it)."""
        if self.rows and self.rows[-1]["step"] >= step:
            return False
        return step % self.interval == 0 or step == self.last_step

    def add(self, step: int, images_seen: int, lr: float, validation: dict[str, float]) -> Row:
        """Add a row; `train_loss` is the mean of the window (None before the first update)."""
        loss = mean(self.window) if self.window else None
        self.rows.append(
            {"step": step, "images_seen": images_seen, "train_loss": loss, "lr": lr, **validation}
        )
        self.window.clear()
        return self.rows[-1]

    def state(self) -> dict[str, Any]:
        return {"rows": self.rows, "window": self.window}
