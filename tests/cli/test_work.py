"""The closed formulas are what torch counts on the released configurations, without their weights."""

import pytest
import torch
from diffusers.models import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel

from difflab.cli import work
from difflab.training import flops


@pytest.mark.parametrize(
    ("side", "text_tokens", "known"), [(512, 154, 1.80e12), (1024, 154, 8.44e12), (1024, 333, 8.90e12)]
)
def test_the_transformer_of_sd3(side, text_tokens, known):
    assert work.transformer(side, text_tokens) == pytest.approx(known, rel=0.005)


def test_the_transformer_as_torch_counts_it():
    """At a quarter of the depth, which counting takes a second for."""
    with torch.device("meta"):
        network = SD3Transformer2DModel(
            sample_size=128, in_channels=16, num_layers=6, num_attention_heads=24, attention_head_dim=64,
            joint_attention_dim=4096, caption_projection_dim=1536, pooled_projection_dim=2048, pos_embed_max_size=192,
        )  # fmt: skip
        given = torch.empty(1, 16, 64, 64), torch.empty(1, 154, 4096), torch.empty(1, 2048), torch.empty(1)
        counted = flops.count(lambda: network(*given))
    assert work.transformer(512, 154, layers=6) == pytest.approx(counted, rel=0.005)


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("decode", [False, True])
def test_the_autoencoder_of_sd3(side, decode):
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=16,
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, use_quant_conv=False, use_post_quant_conv=False,
        )  # fmt: skip
        given = torch.empty(1, 16, side // 8, side // 8) if decode else torch.empty(1, 3, side, side)
        counted = flops.count(lambda: (vae.decoder if decode else vae.encoder)(given))
    assert work.autoencoder(side, decode) == pytest.approx(counted, rel=0.01)


def test_the_unet_of_stable_diffusion_2_1():
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True
        )
        given = torch.empty(1, 4, 96, 96), torch.empty(1), torch.empty(1, 77, 1024)
        counted = flops.count(lambda: unet(*given))
    assert pytest.approx(counted, rel=0.01) == work.SD21_UNET


def test_the_unet_of_stable_diffusion_1_5():
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        given = torch.empty(1, 4, 64, 64), torch.empty(1), torch.empty(1, 77, 768)
        counted = flops.count(lambda: unet(*given))
    assert pytest.approx(counted, rel=0.01) == work.SD15_UNET
