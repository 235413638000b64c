"""The way from noise to image as a strip of frames."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

ROWS = 2


class Strip:
    """Collects what the model thinks the image is, at each step of the first batch."""

    def __init__(self) -> None:
        self.estimates: list[Tensor] = []
        self._first: float | None = None
        self._complete = False

    def add(self, sigma: float, x: Tensor, x0: Tensor) -> None:
        """Note one step, as `samplers.OnStep`; the next batch, where sigma is the first again, is passed over."""
        if self._first is None:
            self._first = sigma
        elif sigma >= self._first:
            self._complete = True
        if not self._complete:
            self.estimates.append(x0[:ROWS].detach().float().cpu())

    def tiles(
        self, frames: int, pixels: Callable[[Tensor], np.ndarray], final: np.ndarray
    ) -> tuple[list[np.ndarray], int]:
        """Evenly spread frames, a row for each of the first images, the finished image last.

        Args:
            frames: estimates in a row; fewer where there were fewer steps.
            pixels: turns x0 [n, ...] into uint8 [n, H, W, 3]; it cuts values outside the range.
            final: the finished images, uint8 [n, H, W, 3].

        Returns:
            Tiles uint8 [H, W, 3] row by row, and the number of columns.
        """
        count = len(self.estimates)
        chosen = np.unique(np.linspace(0, count - 1, min(frames, count)).round().astype(int))
        columns = [*(pixels(self.estimates[n]) for n in chosen), final[:ROWS]]
        return [column[row] for row in range(len(columns[0])) for column in columns], len(columns)
