"""The miniature's base model: a small SD3Transformer2DModel and its scheduler."""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base import rng

if TYPE_CHECKING:
    from diffusers.models import SD3Transformer2DModel

    from difflab.miniature.params.image_models import ZooTransformerParams


def build(
    params: "ZooTransformerParams",
    seed: int,
    *,
    latent_shape: tuple[int, int, int],
    joint_attention_dim: int,
    pooled_projection_dim: int,
) -> "SD3Transformer2DModel":
    """A new transformer for latents of `latent_shape` (C, h, w), initialised as DiT is.

    Gates and modulations start at zero (adaLN-Zero, Peebles and Xie 2023, section 3.2), and the output is the
    transposed patch embedding, so that the first velocity is the input with another scale: the best linear
    guess.
    """
    import torch
    from diffusers.models import SD3Transformer2DModel

    torch.manual_seed(rng.key(seed, "init", "transformer"))
    channels, height, _ = latent_shape
    transformer = SD3Transformer2DModel(
        sample_size=height,
        patch_size=params.patch_size,
        in_channels=channels,
        out_channels=channels,
        num_layers=params.num_layers,
        attention_head_dim=params.attention_head_dim,
        num_attention_heads=params.num_attention_heads,
        caption_projection_dim=params.num_attention_heads * params.attention_head_dim,
        joint_attention_dim=joint_attention_dim,
        pooled_projection_dim=pooled_projection_dim,
        pos_embed_max_size=2 * height // params.patch_size,
        qk_norm="rms_norm",
    )
    _initialise(transformer)
    return transformer


def _initialise(transformer: "SD3Transformer2DModel") -> None:
    import torch
    from torch import nn

    modulations = [transformer.norm_out.linear]
    for block in transformer.transformer_blocks:
        modulations += [block.norm1.linear, block.norm1_context.linear]
    for module in modulations:
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
    embed, out = transformer.pos_embed.proj, transformer.proj_out
    width, channels, patch, _ = embed.weight.shape
    basis = nn.init.orthogonal_(torch.empty(width, channels * patch * patch)).view_as(embed.weight)
    with torch.no_grad():
        embed.weight.copy_(basis)
        out.weight.copy_(0.5 * basis.permute(2, 3, 1, 0).reshape(out.weight.shape))
    nn.init.zeros_(embed.bias)
    nn.init.zeros_(out.bias)


def write_scheduler(folder: str | Path, shift: float) -> None:
    """Write the `FlowMatchEulerDiscreteScheduler` configuration beside the transformer."""
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=shift).save_pretrained(Path(folder) / "scheduler")
