"""The miniature's autoencoder: a small AutoencoderKL with SD3's sixteen channels, and its training loss."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers.models import AutoencoderKL
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.store.tensors import to_tensor
from difflab.miniature.data import blend
from difflab.models.autoencoder import loss_terms, new_autoencoder

if TYPE_CHECKING:
    from difflab.miniature.params import ZooVaeParams

IMAGE_SIZE = 32


def build(params: "ZooVaeParams", seed: int) -> AutoencoderKL:
    """A new autoencoder; each level but the last halves the image.

    The last convolution of every residual branch starts at zero, so that training starts from a shallow
    network (Zhang, Dauphin and Ma 2019, "Fixup"): a few hundred steps have to be enough here.
    """
    own_seed = rng.key(seed, "init", "vae")
    vae = new_autoencoder(params, IMAGE_SIZE, own_seed, use_quant_conv=False, use_post_quant_conv=False)
    for name, module in vae.named_modules():
        if name.endswith((".conv2", ".to_out.0")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return vae


def training_images(digits: np.ndarray, params: "ZooVaeParams", seed: int, step: int) -> Tensor:
    """One batch of digits over photographs and of plain digits, float32 [n, 3, 32, 32] in [-1, 1]."""
    count = params.training.batch_size
    plain = round(params.plain_fraction * count)
    over_photos = composites(digits, seed, "zoo vae over photos", step, count - plain)
    return torch.cat([over_photos, composites(digits, seed, "zoo vae plain", step, plain, with_photos=False)])


def composites(digits: np.ndarray, seed: int, purpose: str, step: int, count: int, with_photos: bool = True) -> Tensor:
    """Fresh pictures of random `digits` (rows of `sources.digits()`), keyed by seed, purpose and step."""
    chosen = rng.numpy_rng(seed, purpose, "digits", step).choice(digits, count)
    return to_tensor(blend.batch(chosen, seed, purpose, step, IMAGE_SIZE, with_photos).images, IMAGE_SIZE)


def batch_loss(
    vae: AutoencoderKL, digits: np.ndarray, params: "ZooVaeParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of one training step as a function of the step number (for `training.supervised.fit`)."""

    def loss(step: int) -> dict[str, Tensor]:
        terms = loss_terms(vae, training_images(digits, params, seed, step).to(vae.device))
        return {"loss": terms["l1"] + terms["mse"] + params.kl_weight * terms["kl"], **terms}

    return loss


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Decoded posterior means, [n, 3, H, W] in [-1, 1]."""
    return torch.cat([vae.decode(vae.encode(x).latent_dist.mean).sample for x in images.split(64)]).clamp(-1, 1)
