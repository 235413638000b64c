"""The small Stable Diffusion in its smallest size."""

import torch
from diffusers.models import AutoencoderKL

from difflab.miniature.params import EncoderParams, ZooDiffusionParams
from fakes.zoo import fit_params


def params(**changes) -> ZooDiffusionParams:
    training = fit_params(steps=8, batch_size=8, learning_rate=3e-3, warmup_steps=2, log_interval=4)
    values = {
        "hub": None, "max_length": 22, "text_encoder": EncoderParams(hidden_size=32, num_hidden_layers=2),
        "block_out_channels": [16], "layers_per_block": 1, "attention_head_dim": 8, "norm_num_groups": 4,
        "num_images": 24, "num_plain": 8, "plain_start": 0.75, "plain_share": 0.5, "prompt_dropout": 0.25,
        "text_training": training, "training": training,
    }  # fmt: skip
    return ZooDiffusionParams(**{**values, **changes})


def new_vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=6,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=2, shift_factor=0.2, scaling_factor=1.7,
    ).eval()  # fmt: skip
