"""From latents to images."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.images.store.tensors import to_uint8

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL


@torch.no_grad()
def decode(vae: "AutoencoderKL", latents: Tensor) -> np.ndarray:
    """Undo shift and scaling, decode, clamp and round: latents [n, C, h, w] to uint8 [n, H, W, 3]."""
    z = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    return to_uint8(vae.decode(z.to(vae.dtype)).sample)
