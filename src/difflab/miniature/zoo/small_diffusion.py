"""The miniature's Stable Diffusion: pictures of a digit over a photograph, by their titles.

A `UNet2DConditionModel` on the latents of the zoo's autoencoder, which reads prompts through the text encoder of
`prompt_encoder`, in the layout of `StableDiffusionPipeline`. Prediction and levels of noise are those of Stable
Diffusion 2.1. Training begins with plain digits, whose shape is easy to see, and they give way to composites.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from diffusers.schedulers import DDIMScheduler
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.store.tensors import to_tensor
from difflab.miniature.data import blend

if TYPE_CHECKING:
    from difflab.miniature.params import ZooDiffusionParams
    from difflab.miniature.zoo.prompt_encoder import Prompts

IMAGE_SIZE = 32
_CHUNK = 256  # pictures that are drawn and encoded at once


@dataclass(frozen=True)
class LatentPictures:
    """Encoded pictures: composites first, then plain digits."""

    latents: Tensor  # float32 [N, C, h, w], of unit variance over the composites
    digits: Tensor  # int64 [N]
    photos: Tensor  # int64 [N], rows of `blend.PHOTO_NAMES`, -1 for plain digits
    composites: int  # how many they are


def build(params: "ZooDiffusionParams", vae: AutoencoderKL, seed: int) -> UNet2DConditionModel:
    """The untrained U-Net, drawn from the seed; its last convolution starts at zero."""
    torch.manual_seed(rng.key(seed, "init", "diffusion unet"))
    widths = tuple(params.block_out_channels)
    unet = UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 2 ** (len(vae.config.block_out_channels) - 1),
        in_channels=vae.config.latent_channels, out_channels=vae.config.latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * len(widths), block_out_channels=widths,
        up_block_types=("CrossAttnUpBlock2D",) * len(widths), layers_per_block=params.layers_per_block,
        norm_num_groups=params.norm_num_groups, cross_attention_dim=params.text_encoder.hidden_size,
        attention_head_dim=tuple(w // params.attention_head_dim for w in widths),  # it means the number of heads
        use_linear_projection=True,
        addition_embed_type="text", addition_embed_type_num_heads=4,  # the pooled prompt joins the timestep, as in SDXL
    )  # fmt: skip
    for parameter in unet.conv_out.parameters():
        nn.init.zeros_(parameter)
    return unet


def noise_schedule() -> DDIMScheduler:
    """Stable Diffusion 2.1's levels of noise and prediction; its timesteps start at the last level ("trailing")."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type="v_prediction", timestep_spacing="trailing",
    )  # fmt: skip


def draw_pictures(vae: AutoencoderKL, digits: np.ndarray, params: "ZooDiffusionParams", seed: int) -> LatentPictures:
    """Draw and encode pictures of `digits` (rows of `sources.digits()`).

    The autoencoder is configured to give latents of unit variance without a shift, which the pipeline of Stable
    Diffusion does not know.
    """
    composites = _encoded(vae, digits, params.num_images, seed, "zoo diffusion", with_photos=True)
    plain = _encoded(vae, digits, params.num_plain, seed, "zoo diffusion plain", with_photos=False)
    vae.register_to_config(shift_factor=None, scaling_factor=1 / composites[0].std().item())
    latents, numbers, photos = (torch.cat(pair) for pair in zip(composites, plain, strict=True))
    return LatentPictures(latents * vae.config.scaling_factor, numbers, photos, params.num_images)


@torch.no_grad()
def _encoded(
    vae: AutoencoderKL, digits: np.ndarray, count: int, seed: int, purpose: str, with_photos: bool
) -> tuple[Tensor, ...]:
    """Latents as the autoencoder gives them, digits and photographs of `count` fresh pictures."""
    parts = []
    for chunk in range(-(-count // _CHUNK)):
        chosen = rng.numpy_rng(seed, f"{purpose} digits", chunk).choice(digits, min(_CHUNK, count - chunk * _CHUNK))
        drawn = blend.batch(chosen, seed, purpose, chunk, IMAGE_SIZE, with_photos)
        latents = vae.encode(to_tensor(drawn.images, IMAGE_SIZE).to(vae.device)).latent_dist.mean
        parts.append((latents, torch.from_numpy(drawn.digits), torch.from_numpy(drawn.photos)))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def plain_share(step: int, params: "ZooDiffusionParams") -> float:
    """The share of plain digits in a batch: falls linearly from `plain_start` to none."""
    return params.plain_start * max(0.0, 1 - step / (params.plain_share * params.training.steps))


def batch_loss(
    unet: UNet2DConditionModel,
    pictures: LatentPictures,
    prompts: "Prompts",
    hidden: Tensor,
    params: "ZooDiffusionParams",
    seed: int,
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a training step: the squared error of v, with timesteps that are spread evenly over the batch.

    v = sqrt(abar) noise - sqrt(1 - abar) x0 (Salimans and Ho 2022, appendix D). `hidden` is what the encoder makes of
    every prompt, float32 [P, L, D], on the U-Net's device.
    """
    schedule, count = noise_schedule(), params.training.batch_size
    total = schedule.config.num_train_timesteps

    def loss(step: int) -> dict[str, Tensor]:
        draws = rng.numpy_rng(seed, "zoo diffusion batch", step)
        plain = round(plain_share(step, params) * count)
        index = draws.integers(pictures.composites, size=count)
        index[:plain] = draws.integers(pictures.composites, len(pictures.latents), size=plain)
        rows = prompts.rows(pictures.digits[index], pictures.photos[index], torch.from_numpy(draws.random(count)))
        rows[torch.from_numpy(draws.random(count) < params.prompt_dropout)] = prompts.empty_row
        places = (draws.permutation(count) + draws.random()) / count
        timesteps = torch.from_numpy((places * total).astype(np.int64)).to(unet.device)
        x0 = pictures.latents[torch.from_numpy(index).to(unet.device)]
        noise = torch.randn(x0.shape, generator=rng.torch_generator(seed, "zoo diffusion noise", step)).to(x0.device)
        v = schedule.get_velocity(x0, noise, timesteps)
        noisy = schedule.add_noise(x0, noise, timesteps)
        predicted = unet(noisy, timesteps, encoder_hidden_states=hidden[rows.to(unet.device)], return_dict=False)[0]
        return {"loss": (predicted - v).square().mean()}

    return loss


def pipeline(**parts: Any) -> StableDiffusionPipeline:
    """A pipeline of `unet`, `text_encoder`, `vae` and `tokenizer`, without a safety checker."""
    unused = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return StableDiffusionPipeline(scheduler=noise_schedule(), **parts, **unused)
