"""What a stage costs, and what is assumed of a card and of the host beside it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from difflab.core.params.common import HardwareParams

PASS_SECONDS = (
    0.04  # the host's least for a pass of a U-Net or transformer of a few hundred layers, one of a step's three
)


@dataclass(frozen=True)
class Cost:
    """A stage, all of its cells together; memory is that of one."""

    stage: str
    seconds: float
    gpu: float  # GB
    host: float = 4.0
    disk: float = 0.0  # GB that stay
    scratch: float = 0.0  # GB beside them while it runs


def speed(hardware: "HardwareParams", tflops: float, *, sampling: bool) -> float:
    """Operations a second that are expected of a card with this peak."""
    return 1e12 * tflops * (hardware.sampling_utilisation if sampling else hardware.training_utilisation)
