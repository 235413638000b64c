"""The autoencoder of the latent setting, trained on the images themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.store.tensors import to_float
from difflab.models.autoencoder import loss_terms
from difflab.models.sampling.latent_images import latent_scaling

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.ddpm.params import ImageVaeParams


def batch_loss(
    vae: "AutoencoderKL", pixels: Tensor, params: "ImageVaeParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a training step on pixels uint8 [N, 3, H, W], on the network's device, for `training.supervised.fit`."""

    def loss(step: int) -> dict[str, Tensor]:
        draws = rng.numpy_rng(seed, "image vae batch", step)
        index = torch.from_numpy(draws.integers(len(pixels), size=params.training.batch_size))
        terms = loss_terms(vae, to_float(pixels[index.to(pixels.device)]))
        absolute = terms.pop("l1")
        return {"loss": terms["mse"] + 0.2 * absolute + params.kl_weight * terms["kl"], **terms}

    return loss


@torch.no_grad()
def encode(vae: "AutoencoderKL", pixels: Tensor, batch_size: int = 256) -> Tensor:
    """Shifted and scaled posterior means of uint8 images: float32 [n, C, h, w], on the CPU."""
    parts = [vae.encode(to_float(part.to(vae.device))).latent_dist.mean.cpu() for part in pixels.split(batch_size)]
    shift, scale = latent_scaling(vae)
    return (torch.cat(parts) - shift) * scale
