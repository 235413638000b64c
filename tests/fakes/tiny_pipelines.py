"""The three kinds of text-to-image pipelines with random weights: 16 x 16 pictures from 4 x 4 latents in milliseconds."""

from functools import cache
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.models import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from difflab.captioning.params import AxesParams
from difflab.miniature.zoo.tokenizers import clip_tokenizer, t5_tokenizer

KINDS = ("sd", "sdxl", "sd3")
SIZE, LENGTH = 16, 16  # pixels; tokens of the CLIP-like encoders
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


@cache
def tokenizers():
    return clip_tokenizer(LENGTH), t5_tokenizer(512)


def pipeline(kind: str, **scheduler):
    """A pipeline of one of `KINDS` in eval mode; `scheduler` changes the values of its scheduler."""
    torch.manual_seed(0)
    made = {"sd": stable_diffusion, "sdxl": stable_diffusion_xl, "sd3": stable_diffusion_3}[kind](scheduler)
    for component in made.components.values():
        if isinstance(component, torch.nn.Module):
            component.requires_grad_(False).eval()
    for name, parameter in (getattr(made, "unet", None) or made.transformer).named_parameters():
        if "proj_out" in name or "conv_out" in name:
            parameter.mul_(3.0)  # loud enough for pictures that differ
    made.set_progress_bar_config(disable=True)
    return made


def saved(kind: str, folder: Path) -> Path:
    pipeline(kind).save_pretrained(folder)
    return folder


def stable_diffusion(scheduler):
    return StableDiffusionPipeline(
        vae=_vae(4),
        text_encoder=CLIPTextModel(_clip(16)),
        tokenizer=tokenizers()[0],
        unet=_unet(16),
        scheduler=DDIMScheduler(
            **BETAS, **{"clip_sample": False, "set_alpha_to_one": False, "prediction_type": "v_prediction"} | scheduler
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(scheduler):
    time_ids = 6 * 8
    return StableDiffusionXLPipeline(
        vae=_vae(4),
        text_encoder=CLIPTextModel(_clip(16)),
        text_encoder_2=CLIPTextModelWithProjection(_clip(24)),
        tokenizer=tokenizers()[0],
        tokenizer_2=tokenizers()[0],
        unet=_unet(
            16 + 24,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24 + time_ids,
        ),
        scheduler=EulerDiscreteScheduler(**BETAS, **scheduler),
    )


def stable_diffusion_3(scheduler):
    clip, t5 = tokenizers()
    transformer = SD3Transformer2DModel(
        sample_size=4, patch_size=1, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=40, caption_projection_dim=16, pooled_projection_dim=40,
        pos_embed_max_size=4,
    )  # fmt: skip
    config = T5Config(vocab_size=len(t5), d_model=40, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 3.0} | scheduler),
        vae=_vae(4, shift_factor=0.1),
        text_encoder=CLIPTextModelWithProjection(_clip(16)),
        tokenizer=clip,
        text_encoder_2=CLIPTextModelWithProjection(_clip(24)),
        tokenizer_2=clip,
        text_encoder_3=T5EncoderModel(config),
        tokenizer_3=t5,
    )


def _clip(width: int) -> CLIPTextConfig:
    tokenizer = tokenizers()[0]
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.5,
    )


def _unet(text_width: int, **options) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=4, in_channels=4, out_channels=4, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",), block_out_channels=(8,), layers_per_block=1,
        cross_attention_dim=text_width, attention_head_dim=2, norm_num_groups=4, **options,
    )  # fmt: skip


def _vae(channels: int, shift_factor: float | None = None) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 4, 8), layers_per_block=1, latent_channels=channels, norm_num_groups=2,
        sample_size=SIZE, scaling_factor=0.5, shift_factor=shift_factor,
    )  # fmt: skip


def axes(**changes) -> AxesParams:
    """One cell of the model zoo, but for the changes."""
    values = {
        "models": ["zoo"], "schedulers": ["ddim"], "num_inference_steps": [5], "guidance_scales": [3.0],
        "negative": [False],
    }  # fmt: skip
    return AxesParams(**{**values, **changes})
