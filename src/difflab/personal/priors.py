"""Keeping what the class word means while a subject is learnt.

none     nothing is kept
images   pictures of the class word that the base made are trained on beside the subject's (prior preservation, Ruiz et
         al. 2023, eq. 2)
output   the network's prediction for the class word is held to the base's, on the subject's own noisy pictures
         (differential output preservation; as ai-toolkit has it)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng

if TYPE_CHECKING:
    from difflab.personal.base import Base


@dataclass(frozen=True)
class ClassImages:
    """Latents [n, C, h, w] of pictures of the class that the base made, and their prompts."""

    latents: Tensor
    prompts: Sequence[str]

    def loss(self, base: "Base", count: int, noise: Tensor, places: Tensor, seed: int, step: int) -> Tensor:
        """The error on `count` of them, drawn by step."""
        rows = rng.numpy_rng(seed, "personal class images", step).integers(len(self.prompts), size=count).tolist()
        noisy, timesteps, target = base.noised(self.latents[rows], noise, places)
        predicted = base.predict(noisy, timesteps, base.encode([self.prompts[row] for row in rows]))
        return (predicted - target).square().mean()


def output_loss(base: "Base", frozen: "Base", noisy: Tensor, timesteps: Tensor, prompts: Sequence[str]) -> Tensor:
    """How far the network has moved from the base for prompts of the class: the mean squared difference."""
    with torch.no_grad():
        kept = frozen.predict(noisy, timesteps, frozen.encode(prompts))
    return (base.predict(noisy, timesteps, base.encode(prompts)) - kept).square().mean()
