"""The images that a pixel model trains on, in memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from difflab.ddpm.networks.conditions import Conditions


@dataclass(frozen=True)
class TrainingImages:
    """The images that a model trains on.

    Attributes:
        ids: sample ids, [N].
        pixels: uint8 [N, C, H, W], or float32 latents of any range.
        condition: the conditioning, by row; None for unconditional models.
    """

    ids: list[str]
    pixels: "Tensor"
    condition: "Conditions | None" = None

    def to(self, device: "torch.device") -> "TrainingImages":
        condition = None if self.condition is None else self.condition.to(device)
        return TrainingImages(self.ids, self.pixels.to(device), condition)
