"""The moving average of the trained weights, kept by diffusers' `EMAModel`."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel


def moving_average(parameters: Sequence[nn.Parameter], decay: float) -> "EMAModel | None":
    """An average with warm-up: update n decays by min(decay, n / (9 + n)), the first by 0; None for decay 0."""
    if not decay:
        return None
    from diffusers.training_utils import EMAModel

    return EMAModel(parameters, decay=decay, foreach=True)


@contextmanager
def averaged(ema: "EMAModel | None", parameters: Sequence[nn.Parameter]) -> Generator[None]:
    """The parameters hold their average inside the block, and their own values again after it."""
    if ema is None:
        yield
        return
    ema.store(parameters)
    ema.copy_to(parameters)
    try:
        yield
    finally:
        ema.restore(parameters)
