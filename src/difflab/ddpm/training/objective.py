"""What makes a training input of a clean image, and how errors count.

A corruption is called with clean images [B, C, H, W] and one key per image, and returns the corrupted images and
their levels, float32 [B]: sigma for noise, the share of the degradation in (0, 1] for `difflab.ddpm.cold`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.store.tensors import per_sample

if TYPE_CHECKING:
    from difflab.ddpm.common.schedule import Schedule
    from difflab.ddpm.params import ObjectiveParams


Corruption = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class GaussianNoise:
    """x0 + sigma * noise, with sigma drawn as the objective says and kept inside the schedule."""

    def __init__(self, schedule: "Schedule", objective: "ObjectiveParams") -> None:
        self.schedule, self.objective = schedule, objective
        self._range = schedule.sigmas[[0, -1]].tolist()

    def __call__(self, x0: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        sigma = self.sigma(rng.fold(keys, rng.key(0, "sigma")))
        return x0 + per_sample(sigma, x0) * _noise(x0, keys), sigma

    def sigma(self, keys: Tensor) -> Tensor:
        """Sigma for each key, float32 [B]."""
        if self.objective.density == "timestep":
            return self.schedule.draw(keys)
        sigma = torch.exp(self.objective.log_mean + self.objective.log_std * rng.normal(keys))
        return sigma.clamp(*self._range)


def fixed_noise(x0: Tensor, keys: Tensor, sigma: float, clipped: bool) -> tuple[Tensor, Tensor]:
    """x0 + sigma * noise with one sigma (of images in [-1, 1], twice that on [0, 1]), clipped as a camera would."""
    noisy = x0 + sigma * _noise(x0, keys)
    return noisy.clamp(-1, 1) if clipped else noisy, x0.new_full((len(x0),), sigma)


def _noise(x0: Tensor, keys: Tensor) -> Tensor:
    return rng.normal(rng.fold(keys, rng.key(0, "noise")), x0.shape[1:])


def weight(sigma: Tensor, params: "ObjectiveParams") -> Tensor:
    """The factor of |D(x) - x0|^2, like `sigma`. SNR is the ratio of variances, 1 / sigma^2.

    epsilon    SNR                             the error of the noise is that of x0 over sigma^2 (DDPM's loss)
    v          SNR + 1                         (Salimans and Ho 2022, section 4)
    x0         1
    flow       (1 + sigma)^2 / sigma^2         the error of the velocity noise - x0
    min_snr    min(SNR, gamma)                 (Hang et al. 2023, section 3.4)
    edm        (sigma^2 + sd^2) / (sigma sd)^2 (Karras et al. 2022, table 1)
    """
    snr = sigma.square().reciprocal()
    return {
        "epsilon": snr,
        "v": snr + 1,
        "x0": sigma.new_ones(sigma.shape),
        "flow": (1 + sigma).square() * snr,
        "min_snr": snr.clamp_max(params.snr_gamma),
        "edm": snr + params.sigma_data**-2,
    }[params.weighting]
