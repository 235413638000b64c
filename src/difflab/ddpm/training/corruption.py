"""What makes a training input of a clean image: noise of a drawn strength, or of a fixed one.

A corruption is called with clean images and one key per image, and returns the corrupted images and their
level: sigma for noise, the share of the degradation in (0, 1] for `difflab.ddpm.cold`.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.broadcast import per_sample

if TYPE_CHECKING:
    from difflab.ddpm.networks.schedule import Schedule
    from difflab.ddpm.params.networks import ObjectiveParams


class Corrupted(NamedTuple):
    """Corrupted images [B, C, H, W] and their levels, float32 [B]."""

    images: Tensor
    level: Tensor


class Corruption(Protocol):
    """What the trainer needs."""

    def __call__(self, x0: Tensor, keys: Tensor) -> Corrupted: ...


class GaussianNoise:
    """x0 + sigma * noise, with sigma drawn as the objective says and kept inside the schedule."""

    def __init__(self, schedule: "Schedule", objective: "ObjectiveParams") -> None:
        self.schedule, self.objective = schedule, objective
        self._range = schedule.sigmas[[0, -1]].tolist()

    def __call__(self, x0: Tensor, keys: Tensor) -> Corrupted:
        sigma = self.sigma(rng.fold(keys, rng.key(0, "sigma")))
        noise = rng.normal(rng.fold(keys, rng.key(0, "noise")), x0.shape[1:])
        return Corrupted(x0 + per_sample(sigma, x0) * noise, sigma)

    def sigma(self, keys: Tensor) -> Tensor:
        """Sigma for each key, float32 [B]."""
        if self.objective.density == "timestep":
            return self.schedule.draw(keys)
        sigma = torch.exp(self.objective.log_mean + self.objective.log_std * rng.normal(keys))
        return sigma.clamp(*self._range)


class FixedNoise:
    """x0 + sigma * noise with one sigma, cut to [-1, 1] where a camera would cut it.

    Args:
        sigma: on images in [-1, 1]: 0.4 is 0.2 on [0, 1].
        clipped: cut the noisy image to [-1, 1].
    """

    def __init__(self, sigma: float, clipped: bool) -> None:
        self.sigma, self.clipped = sigma, clipped

    def __call__(self, x0: Tensor, keys: Tensor) -> Corrupted:
        noisy = x0 + self.sigma * rng.normal(rng.fold(keys, rng.key(0, "noise")), x0.shape[1:])
        return Corrupted(noisy.clamp(-1, 1) if self.clipped else noisy, x0.new_full((len(x0),), self.sigma))
