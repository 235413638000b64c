"""Small autoencoders that are trained here: an AutoencoderKL, the terms of its loss, the scaling of its latents."""

from typing import TYPE_CHECKING

import torch
from diffusers.models import AutoencoderKL
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from difflab.models.params import AutoencoderParams


def new_autoencoder(params: "AutoencoderParams", size: int, seed: int, **options: bool) -> AutoencoderKL:
    """An autoencoder of RGB images of `size` pixels; each level but the last halves the image."""
    torch.manual_seed(seed)
    levels = len(params.block_out_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(params.block_out_channels), layers_per_block=params.layers_per_block,
        latent_channels=params.latent_channels, norm_num_groups=params.norm_num_groups, sample_size=size,
        scaling_factor=1.0, shift_factor=0.0, **options,
    )  # fmt: skip


def loss_terms(vae: AutoencoderKL, images: Tensor) -> dict[str, Tensor]:
    """Absolute and squared error of a sampled reconstruction, and the KL divergence to N(0, 1) per latent number.

    Kingma and Welling 2014; Rombach et al. 2022, section 3.1. `images` is float32 [n, 3, H, W] in [-1, 1].
    """
    posterior = vae.encode(images).latent_dist
    restored = vae.decode(posterior.sample()).sample
    kl = posterior.kl().mean() / posterior.mean[0].numel()
    return {"l1": functional.l1_loss(restored, images), "mse": functional.mse_loss(restored, images), "kl": kl}


@torch.no_grad()
def set_scaling(vae: AutoencoderKL, images: Tensor) -> None:
    """Configure the shift and scaling that give the latents of `images` mean 0 and variance 1, in a new autoencoder."""
    means = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(64)])
    vae.register_to_config(shift_factor=means.mean().item(), scaling_factor=1 / means.std().item())
