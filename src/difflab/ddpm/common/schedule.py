"""Noise schedules as tables of sigma, the standard deviation of the noise on a clean image of [-1, 1].

Everything here lives in the coordinates x = x0 + sigma * noise (Karras et al. 2022, "Elucidating the Design
Space", section 2). A network trained in those of DDPM, sqrt(abar) x0 + sqrt(1 - abar) noise, is given x scaled
by 1 / sqrt(1 + sigma^2) = sqrt(abar), see `difflab.ddpm.common.denoiser`.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.ddpm.params import ScheduleParams


class Schedule:
    """T noise levels `sigmas`, [T], positive and ascending; between two of them ln(sigma) is interpolated."""

    def __init__(self, sigmas: Tensor) -> None:
        if sigmas.ndim != 1 or len(sigmas) < 2 or (sigmas <= 0).any() or (sigmas.diff() <= 0).any():
            raise ValueError("a schedule has at least two sigmas, positive and ascending")
        self.sigmas = sigmas.double()
        self._tables: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.sigmas)

    @property
    def alphas_cumprod(self) -> Tensor:
        """abar = 1 / (1 + sigma^2), float64 [T]: DDPM's share of signal variance."""
        return 1 / (1 + self.sigmas.square())

    def sigma(self, timestep: Tensor) -> Tensor:
        """Sigma at timesteps in 0 .. T - 1, which need not be whole; float32, like `timestep`."""
        logs, _ = self._on(timestep.device)
        place = timestep.double().clamp(0, len(self) - 1)
        low = place.floor().long().clamp_max(len(self) - 2)
        return torch.lerp(logs[low], logs[low + 1], place - low).exp().float()

    def timestep(self, sigma: Tensor) -> Tensor:
        """The timestep whose noise is `sigma`, float32, like `sigma`; outside the table its nearest end."""
        logs, _ = self._on(sigma.device)
        value = sigma.double().clamp_min(1e-12).log()
        low = (torch.searchsorted(logs, value) - 1).clamp(0, len(self) - 2)
        share = ((value - logs[low]) / (logs[low + 1] - logs[low])).clamp(0, 1)
        return (low + share).float()

    def draw(self, keys: Tensor) -> Tensor:
        """Sigma of timesteps drawn uniformly, as DDPM trains; float32 [B], one for each key (int64 [B])."""
        timestep = (rng.uniform(keys) * len(self)).long().clamp_max(len(self) - 1)
        _, sigmas = self._on(keys.device)
        return sigmas[timestep]

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """ln(sigma), float64, and sigma, float32, on a device; copied there once, as a copy makes the host wait."""
        if device not in self._tables:
            self._tables[device] = self.sigmas.log().to(device), self.sigmas.float().to(device)
        return self._tables[device]

    def require(self, sigma: float) -> None:
        """Refuse a noise that the schedule does not reach."""
        low, high = self.sigmas[0].item(), self.sigmas[-1].item()
        if not low <= sigma <= high:
            raise DifflabError(
                f"sigma {sigma:g} is outside the schedule, which goes from {low:.4g} to {high:.4g} "
                "(on images in [-1, 1], where a sigma on [0, 1] counts twice)"
            )


def make(params: "ScheduleParams") -> Schedule:
    """The schedule that the parameters describe."""
    if params.kind == "linear":
        return linear(params.num_train_timesteps, params.beta_start, params.beta_end)
    if params.kind == "cosine":
        return cosine(params.num_train_timesteps)
    return variance_exploding(params.num_train_timesteps, params.sigma_min, params.sigma_max)


def linear(count: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2) -> Schedule:
    """Betas that grow linearly (Ho, Jain and Abbeel 2020, section 4)."""
    return from_betas(torch.linspace(beta_start, beta_end, count, dtype=torch.float64))


def cosine(count: int = 1000, offset: float = 0.008, largest_beta: float = 0.999) -> Schedule:
    """abar follows a squared cosine (Nichol and Dhariwal 2021, equation 17); betas are at most 0.999."""
    t = torch.arange(count + 1, dtype=torch.float64) / count
    abar = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    return from_betas((1 - abar[1:] / abar[:-1]).clamp_max(largest_beta))


def variance_exploding(count: int = 1000, sigma_min: float = 0.01, sigma_max: float = 50.0) -> Schedule:
    """Sigmas in geometric progression (Song et al. 2021, "Score-Based Generative Modeling", section 3.4)."""
    logs = torch.linspace(math.log(sigma_min), math.log(sigma_max), count, dtype=torch.float64)
    return Schedule(logs.exp())


def from_betas(betas: Tensor) -> Schedule:
    """sigma_t = sqrt((1 - abar_t) / abar_t), abar_t the product of 1 - beta (Ho et al. 2020, equation 4)."""
    abar = torch.cumprod(1 - betas, dim=0)
    return Schedule(((1 - abar) / abar).sqrt())
