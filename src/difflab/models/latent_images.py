"""Both ends of sampling in latents: the noise that images start from, and the way from latents to pixels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.store.tensors import to_uint8

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL


def initial_noise(ids: Sequence[str], shape: tuple[int, int, int], seed: int, generation_seed: int) -> Tensor:
    """Standard normal noise, float32 [len(ids), *shape]; image i's depends on its id and the seeds only."""
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "generation noise", generation_seed))
    return rng.normal(keys, shape)


@torch.no_grad()
def decode(vae: "AutoencoderKL", latents: Tensor) -> np.ndarray:
    """Undo shift and scaling, decode, clamp and round: latents [n, C, h, w] to uint8 [n, H, W, 3]."""
    z = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    return to_uint8(vae.decode(z.to(vae.dtype)).sample)
