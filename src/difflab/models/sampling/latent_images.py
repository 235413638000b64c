"""Both ends of sampling in latents: the noise that images start from, and the way from latents to pixels."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import check_finite, to_uint8

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL


def initial_noise(ids: Sequence[str], shape: tuple[int, int, int], seed: int, generation_seed: int) -> Tensor:
    """Standard normal noise, float32 [len(ids), *shape]; image i's depends on its id and the seeds only."""
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "generation noise", generation_seed))
    return rng.normal(keys, shape)


@torch.no_grad()
def decode(vae: "AutoencoderKL", latents: Tensor, ids: Sequence[str] = ()) -> np.ndarray:
    """Undo shift and scaling, decode, clamp and round: latents [n, C, h, w] to uint8 [n, H, W, 3].

    Raises:
        DifflabError: latents or pictures are not finite; `ids` name them in the message.
    """
    check_finite(latents, ids, "the latent")
    shift, scale = latent_scaling(vae)
    z = latents / scale + shift
    return to_uint8(vae.decode(z.to(vae.dtype)).sample, ids)


def latent_scaling(vae: "AutoencoderKL") -> tuple[float, float]:
    """Shift and scale of an autoencoder's configuration: latents are (z - shift) * scale.

    Raises:
        DifflabError: the scale is absent or not above 0, or one of both is no finite number.
    """
    shift, scale = vae.config.get("shift_factor") or 0.0, vae.config.get("scaling_factor")
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in (shift, scale))
    if not numbers or scale <= 0:
        raise DifflabError(
            f"the autoencoder's configuration has scaling_factor {scale!r} and shift_factor {shift!r}: set them"
        )
    return shift, scale
