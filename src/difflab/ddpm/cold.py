"""Cold diffusion: deterministic degradations in place of noise (Bansal et al. 2022, arXiv:2208.09392).

A degradation D(x0, s) of strength s in [0, 1] is the identity at 0. A network R(x, s) restores x0, and
sampling walks back from s = 1 with what the degradations of the estimate differ by (algorithm 2).
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from difflab.core.base import rng
from difflab.core.base.store.tensors import per_sample
from difflab.ddpm.common.denoiser import in_patches

if TYPE_CHECKING:
    from difflab.ddpm.training.objective import Corruption


Degradation = Callable[[Tensor, Tensor], Tensor]
"""(clean images [B, C, H, W], strengths [B] in 0..1) -> degraded images."""


def blur(x0: Tensor, strength: Tensor, widest: float, narrowest: float = 0.3) -> Tensor:
    """A Gaussian blur whose standard deviation grows geometrically to `widest` pixels; borders are reflected."""
    std = narrowest * (widest / narrowest) ** strength - narrowest * (strength == 0)
    radius = min(math.ceil(3 * widest), min(x0.shape[-2:]) - 1)
    place = torch.arange(-radius, radius + 1, device=x0.device, dtype=x0.dtype)
    kernel = torch.exp(-(place**2) / (2 * std.clamp_min(1e-3)[:, None] ** 2))
    kernel = kernel / kernel.sum(1, keepdim=True)
    for pad, shape in (((0, 0, radius, radius), (1, -1, 1)), ((radius, radius, 0, 0), (1, 1, -1))):
        padded = functional.pad(x0, pad, mode="reflect").transpose(0, 1)  # [C, B, H', W']: each image has its kernel
        x0 = functional.conv2d(padded, kernel.view(len(x0), *shape), groups=len(x0)).transpose(0, 1)
    return x0


def mask(x0: Tensor, strength: Tensor) -> Tensor:
    """Everything but a growing part of the image turns to grey, from the middle outwards with a soft edge.

    At strength 1 nothing is left to see. (The paper's inpainting removes a growing Gaussian around a point.)
    """
    height, width = x0.shape[-2:]
    y, x = (torch.linspace(-1, 1, n, device=x0.device, dtype=x0.dtype) for n in (height, width))
    distance = (y[:, None].square() + x.square()).sqrt()  # 0 in the middle, 1.41 in the corners
    reach = per_sample(strength, distance[None]) * 1.7
    kept = ((distance - reach + 0.25) / 0.25).clamp(0, 1)
    kept = torch.where(per_sample(strength, kept) == 0, 1.0, kept)
    return x0 * kept[:, None]


def cold_corruption(degradation: Degradation, levels: int) -> "Corruption":
    """The corruption that trains a restorer: a strength drawn uniformly from 1 / levels, ..., 1."""

    def corrupt(x0: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        drawn = rng.uniform(rng.fold(keys, rng.key(0, "strength")))
        strength = ((drawn * levels).floor().clamp_max(levels - 1) + 1) / levels
        return degradation(x0, strength), strength

    return corrupt


class Restorer(nn.Module):
    """R(x, s): the network sees the degraded image, its level as timestep 1000 s, and says what is missing."""

    def __init__(self, network: nn.Module, patch_size: int = 1) -> None:
        super().__init__()
        self.network, self.patch_size = network, patch_size

    def forward(self, x: Tensor, strength: Tensor, condition: None = None) -> Tensor:
        """The restored image, float32 [B, C, H, W]."""
        return x + in_patches(self.network, self.patch_size, x, 1000 * strength, {})


@torch.no_grad()
def restore(restorer: Restorer, degradation: Degradation, x: Tensor, steps: int) -> Tensor:
    """Walk fully degraded images [B, C, H, W] back: x <- x - D(R(x, s), s) + D(R(x, s), s - 1/steps) (algorithm 2)."""
    for level in range(steps, 0, -1):
        strength, weaker = (x.new_full((len(x),), value / steps) for value in (level, level - 1))
        estimate = restorer(x, strength).clamp(-1, 1)
        x = x - degradation(estimate, strength) + degradation(estimate, weaker)
    return x
