"""The autoencoder of the latent setting: a small AutoencoderKL, trained on the images themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from difflab.core.base import rng
from difflab.images.store.tensors import to_float

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.ddpm.params import ImageVaeParams


def build(params: "ImageVaeParams", size: int, seed: int) -> "AutoencoderKL":
    """A new autoencoder of RGB images; each level but the last halves the image."""
    from diffusers.models import AutoencoderKL

    torch.manual_seed(rng.key(seed, "init", "image vae"))
    levels = len(params.block_out_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(params.block_out_channels), layers_per_block=params.layers_per_block,
        latent_channels=params.latent_channels, norm_num_groups=params.norm_num_groups, sample_size=size,
        scaling_factor=1.0, shift_factor=0.0, mid_block_add_attention=False,
    )  # fmt: skip


def batch_loss(
    vae: "AutoencoderKL", pixels: Tensor, params: "ImageVaeParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a training step on pixels uint8 [N, 3, H, W], on the network's device, for `training.supervised.fit`."""

    def loss(step: int) -> dict[str, Tensor]:
        draws = rng.numpy_rng(seed, "image vae batch", step)
        index = torch.from_numpy(draws.integers(len(pixels), size=params.training.batch_size))
        images = to_float(pixels[index.to(pixels.device)])
        posterior = vae.encode(images).latent_dist
        restored = vae.decode(posterior.sample()).sample
        squared = functional.mse_loss(restored, images)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        total = squared + 0.2 * functional.l1_loss(restored, images) + params.kl_weight * kl
        return {"loss": total, "mse": squared, "kl": kl}

    return loss


@torch.no_grad()
def encode(vae: "AutoencoderKL", pixels: Tensor, batch_size: int = 256) -> Tensor:
    """Shifted and scaled posterior means of uint8 images: float32 [n, C, h, w], on the CPU."""
    parts = [vae.encode(to_float(part.to(vae.device))).latent_dist.mean.cpu() for part in pixels.split(batch_size)]
    return (torch.cat(parts) - vae.config.shift_factor) * vae.config.scaling_factor


def set_scaling(vae: "AutoencoderKL", pixels: Tensor) -> None:
    """Configure the shift and scaling that give the latents of `pixels` mean 0 and variance 1, in a new autoencoder."""
    latents = encode(vae, pixels, batch_size=64)
    vae.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item())
