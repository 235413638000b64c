"""The miniature's Stable Diffusion: pictures of a digit over a photograph, by their titles.

A `UNet2DConditionModel` on the latents of the zoo's autoencoder and a CLIP text encoder that learns with it, saved
in the layout of `StableDiffusionPipeline`. The prediction is v as in Stable Diffusion 2.1, its error counts as that
of the clean latents.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from difflab import rng
from difflab.data import blend
from difflab.data.digit_titles import titles
from difflab.data.preprocess import to_tensor

if TYPE_CHECKING:
    from diffusers import DDIMScheduler
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, PreTrainedTokenizerBase

    from difflab.params.zoo_image import ZooDiffusionParams

IMAGE_SIZE = 32
_CHUNK = 256  # pictures that are drawn and encoded at once
_TEXT_HEAD_DIM = 16


class TextToLatents(nn.Module):
    """A U-Net and the text encoder that it reads prompts through."""

    def __init__(self, unet: "UNet2DConditionModel", text_encoder: "CLIPTextModel") -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, latents: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """The prediction [B, C, h, w] for noisy latents [B, C, h, w], timesteps [B] and tokens int64 [B, L]."""
        hidden = self.text_encoder(input_ids=tokens).last_hidden_state
        return self.unet(latents, timesteps, encoder_hidden_states=hidden, return_dict=False)[0]


@dataclass(frozen=True)
class Lessons:
    """Pictures with their titles.

    Attributes:
        latents: float32 [N, C, h, w], of unit variance.
        tokens: every title of every picture's digit and photograph, int64 [10, 12, T, L].
        empty: tokens of the empty prompt, int64 [L].
        digits: int64 [N].
        photos: rows of `blend.PHOTO_NAMES`, int64 [N].
    """

    latents: Tensor
    tokens: Tensor
    empty: Tensor
    digits: Tensor
    photos: Tensor


def build(
    params: "ZooDiffusionParams", tokenizer: "PreTrainedTokenizerBase", vae: "AutoencoderKL", seed: int
) -> TextToLatents:
    """The untrained networks, drawn from the seed; the U-Net's last convolution starts at zero."""
    from diffusers.models import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(rng.key(seed, "init", "diffusion"))
    width = params.text_encoder.hidden_size
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=params.text_encoder.num_hidden_layers,
        num_attention_heads=max(1, width // _TEXT_HEAD_DIM),
        max_position_embeddings=params.max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    widths = tuple(params.block_out_channels)
    unet = UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 2 ** (len(vae.config.block_out_channels) - 1),
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * len(widths),
        up_block_types=("CrossAttnUpBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=params.layers_per_block,
        norm_num_groups=params.norm_num_groups,
        cross_attention_dim=width,
        attention_head_dim=tuple(
            w // params.attention_head_dim for w in widths
        ),  # it means the number of heads
        addition_embed_type="text",  # the pooled prompt joins the timestep, as in SDXL
        addition_embed_type_num_heads=4,
    )
    for parameter in unet.conv_out.parameters():
        nn.init.zeros_(parameter)
    return TextToLatents(unet, CLIPTextModel(text))


def noise_schedule() -> "DDIMScheduler":
    """Stable Diffusion 2.1's levels of noise and prediction; its timesteps end at the last level ("trailing")."""
    from diffusers.schedulers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


@torch.no_grad()
def draw_lessons(
    vae: "AutoencoderKL", tokenizer: "PreTrainedTokenizerBase", digits: np.ndarray, count: int, seed: int
) -> Lessons:
    """Draw and encode `count` pictures of `digits` (rows of `bundled.digits()`) over photographs.

    The autoencoder is configured to give latents of unit variance without a shift, which the pipeline of Stable
    Diffusion does not know.
    """
    latents, drawn = [], []
    for chunk in range(-(-count // _CHUNK)):
        size = min(_CHUNK, count - chunk * _CHUNK)
        chosen = rng.numpy_rng(seed, "zoo diffusion digits", chunk).choice(digits, size)
        drawn.append(blend.batch(chosen, seed, "zoo diffusion", chunk, IMAGE_SIZE))
        pixels = to_tensor(drawn[-1].images, IMAGE_SIZE).to(vae.device)
        latents.append(vae.encode(pixels).latent_dist.mean)
    joined = torch.cat(latents)
    vae.register_to_config(shift_factor=None, scaling_factor=1 / joined.std().item())
    return Lessons(
        latents=joined * vae.config.scaling_factor,
        tokens=title_tokens(tokenizer),
        empty=encode(tokenizer, [""])[0],
        digits=torch.from_numpy(np.concatenate([part.digits for part in drawn])),
        photos=torch.from_numpy(np.concatenate([part.photos for part in drawn])),
    )


def title_tokens(tokenizer: "PreTrainedTokenizerBase") -> Tensor:
    """Tokens of every title of every digit and photograph, int64 [10, 12, T, L]."""
    rows = [[encode(tokenizer, titles(digit, photo)) for photo in blend.PHOTO_NAMES] for digit in range(10)]
    return torch.stack([torch.stack(row) for row in rows])


def encode(tokenizer: "PreTrainedTokenizerBase", prompts: "tuple[str, ...] | list[str]") -> Tensor:
    """Token ids int64 [n, max_length] as the pipeline of Stable Diffusion makes them."""
    return tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids


def batch_loss(
    model: TextToLatents, lessons: Lessons, params: "ZooDiffusionParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a training step (for `training.supervised.fit`): the squared error of the clean latents.

    With v = sqrt(abar) noise - sqrt(1 - abar) x0 (Salimans and Ho 2022, appendix D) the error of x0 is
    sqrt(1 - abar) that of v. Timesteps are spread evenly over a batch.
    """
    schedule = noise_schedule()
    device, total = model.unet.device, schedule.config.num_train_timesteps
    count = params.training.batch_size

    def loss(step: int) -> dict[str, Tensor]:
        draws = rng.numpy_rng(seed, "zoo diffusion batch", step)
        rows = torch.from_numpy(draws.integers(len(lessons.latents), size=count))
        forms = torch.from_numpy(draws.integers(lessons.tokens.shape[2], size=count))
        tokens = lessons.tokens[lessons.digits[rows], lessons.photos[rows], forms]
        dropped = torch.from_numpy(draws.random(count) < params.prompt_dropout)
        tokens = torch.where(dropped[:, None], lessons.empty, tokens).to(device)
        places = (np.arange(count) + draws.random()) / count
        timesteps = torch.from_numpy((places * total).astype(np.int64))
        x0 = lessons.latents[rows.to(lessons.latents.device)]
        noise = torch.randn(x0.shape, generator=rng.torch_generator(seed, "zoo diffusion noise", step))
        noise, timesteps = noise.to(device), timesteps.to(device)
        predicted = model(schedule.add_noise(x0, noise, timesteps), timesteps, tokens)
        error = (predicted - schedule.get_velocity(x0, noise, timesteps)).square().flatten(1).mean(1)
        weight = 1 - schedule.alphas_cumprod.to(device)[timesteps]
        return {"loss": (weight * error).mean(), "v_error": error.mean()}

    return loss


def save(
    folder: str | Path, model: TextToLatents, vae: "AutoencoderKL", tokenizer: "PreTrainedTokenizerBase"
) -> None:
    """Write a `StableDiffusionPipeline` without a safety checker into `folder`."""
    from diffusers import StableDiffusionPipeline

    StableDiffusionPipeline(
        vae=vae,
        text_encoder=model.text_encoder,
        tokenizer=tokenizer,
        unet=model.unet,
        scheduler=noise_schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
