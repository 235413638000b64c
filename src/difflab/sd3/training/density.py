"""Which sigma is trained how often, and with what weight (Esser et al. 2024, "Scaling Rectified Flow
Transformers", section 3.1).

A scheme draws u in (0, 1). The convention says what u is, and the timestep shift moves the result to noise:

    "sigma":      sigma = shift(u)        u is the share of noise, as in the paper
    "diffusers":  sigma = shift(1 - u)    u is an index into a descending schedule, as in diffusers' scripts

So logit-normal draws give logit(sigma) ~ N(ln(shift) + m, s^2), or N(ln(shift) - m, s^2) with diffusers:
its mean of -0.5 at shift 3 means *more* noise, with median sigma 0.832. Everything is float32; bfloat16
would leave 355 of the 1,000 levels of noise.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng

if TYPE_CHECKING:
    from difflab.training.params import DensityParams

U_MIN = 1e-3  # diffusers' schedule of 1,000 levels starts here; keeps the weight 1 / sigma^2 finite
PERCENTILES = (5, 25, 50, 75, 95)


class SigmaDensity:
    """The density of sigma in training (`logit_mean` is of the logit-normal scheme alone) and the loss weights."""

    def __init__(self, params: "DensityParams", logit_mean: float) -> None:
        self.params, self.logit_mean = params, logit_mean

    def sigma(self, keys: Tensor) -> Tensor:
        """Draw sigma, float32 [B] in (0, 1], one for each key (int64 [B]); see `difflab.core.base.rng`."""
        if self.params.weighting_scheme == "logit_normal":
            return self._of_normal(rng.normal(keys))
        return self._of_uniform(rng.uniform(keys))

    def quantile(self, q: Tensor) -> Tensor:
        """Quantiles of sigma in closed form; `q` in (0, 1), any shape."""
        if self.params.convention == "diffusers":
            q = 1 - q  # sigma falls as u grows
        if self.params.weighting_scheme == "logit_normal":
            return self._of_normal(torch.special.ndtri(q))
        return self._of_uniform(1 - q if self.params.weighting_scheme == "mode" else q)  # the warp of mode falls

    def weight(self, sigma: Tensor) -> Tensor:
        """The factor of the squared error, as in diffusers' `compute_loss_weighting_for_sd3`."""
        if self.params.weighting_scheme == "sigma_sqrt":
            return sigma**-2
        if self.params.weighting_scheme == "cosmap":
            return 2 / (math.pi * (1 - 2 * sigma + 2 * sigma**2))
        return torch.ones_like(sigma)

    def _of_normal(self, z: Tensor) -> Tensor:
        return self._to_sigma(torch.sigmoid(self.logit_mean + self.params.logit_std * z))

    def _of_uniform(self, u: Tensor) -> Tensor:
        if self.params.weighting_scheme == "mode":  # with heavy tails (Esser et al. 2024, equation 20)
            u = 1 - u - self.params.mode_scale * (torch.cos(math.pi * u / 2) ** 2 - 1 + u)
        return self._to_sigma(u)

    def _to_sigma(self, u: Tensor) -> Tensor:
        sigma = 1 - u if self.params.convention == "diffusers" else u
        return shift_sigma(sigma.clamp(U_MIN, 1.0), self.params.shift)


def shift_sigma(sigma: Tensor, shift: float) -> Tensor:
    """shift sigma / (1 + (shift - 1) sigma), equation 23: more noise for larger images."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def quantiles(density: SigmaDensity, drawn: Tensor) -> dict[str, float]:
    """Quantiles of drawn sigmas beside the closed form: {"sigma_q05": ..., "sigma_q05_exact": ..., ...}."""
    result: dict[str, float] = {}
    for percent in PERCENTILES:
        q = torch.tensor(percent / 100)
        result[f"sigma_q{percent:02d}"] = torch.quantile(drawn, q).item()
        result[f"sigma_q{percent:02d}_exact"] = density.quantile(q).item()
    return result
