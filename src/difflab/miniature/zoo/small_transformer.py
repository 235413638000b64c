"""The miniature's base model: a small SD3Transformer2DModel, and what it learns from.

It learns from plain digits and photographs, each by itself, with captions. So it knows every word of the study's
prompts, and has never seen the two together: that is what fine-tuning adds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from diffusers.models import SD3Transformer2DModel
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.store.tensors import to_tensor
from difflab.miniature.data import blend, templates

if TYPE_CHECKING:
    from difflab.miniature.params import ZooTransformerParams

IMAGE_SIZE = 32
VARIANTS = ("short", "detailed")
HELD_OUT_EVERY = 16  # of the training digits, every sixteenth serves the held-out loss only


def build(
    params: "ZooTransformerParams",
    seed: int,
    *,
    latent_shape: tuple[int, int, int],
    joint_attention_dim: int,
    pooled_projection_dim: int,
) -> SD3Transformer2DModel:
    """A new transformer for latents of `latent_shape` (C, h, w), initialised as DiT is.

    Gates and modulations start at zero (adaLN-Zero, Peebles and Xie 2023, section 3.2), and the output is the
    transposed patch embedding, so that the first velocity is the input with another scale: the best linear
    guess.
    """
    torch.manual_seed(rng.key(seed, "init", "transformer"))
    channels, height, _ = latent_shape
    transformer = SD3Transformer2DModel(
        sample_size=height, patch_size=params.patch_size, in_channels=channels, out_channels=channels,
        num_layers=params.num_layers, attention_head_dim=params.attention_head_dim,
        num_attention_heads=params.num_attention_heads,
        caption_projection_dim=params.num_attention_heads * params.attention_head_dim,
        joint_attention_dim=joint_attention_dim, pooled_projection_dim=pooled_projection_dim,
        pos_embed_max_size=2 * height // params.patch_size, qk_norm="rms_norm",
    )  # fmt: skip
    _initialise(transformer)
    return transformer


def _initialise(transformer: SD3Transformer2DModel) -> None:
    embed, out = transformer.pos_embed.proj, transformer.proj_out
    zeros = [embed.bias, out.bias, *transformer.norm_out.linear.parameters()]
    for block in transformer.transformer_blocks:
        zeros += [*block.norm1.linear.parameters(), *block.norm1_context.linear.parameters()]
    for parameter in zeros:
        nn.init.zeros_(parameter)
    width, channels, patch, _ = embed.weight.shape
    basis = nn.init.orthogonal_(torch.empty(width, channels * patch * patch)).view_as(embed.weight)
    with torch.no_grad():
        embed.weight.copy_(basis)
        out.weight.copy_(0.5 * basis.permute(2, 3, 1, 0).reshape(out.weight.shape))


@dataclass(frozen=True)
class Pictures:
    """Plain digits, each over one colour, then photographs without a digit."""

    ids: list[str]  # "digit-training-00000", ..., "photo-training-00000", ...
    images: Tensor  # float32 [n, 3, 32, 32] in [-1, 1]
    captions: dict[str, list[str]]  # one list of n captions for each of `VARIANTS`
    labels: np.ndarray  # the digit in each image, -1 in a photograph; int64 [n]

    def caption_table(self) -> pd.DataFrame:
        """All captions as rows of `captions.table`."""
        rows = [
            {"id": id, "variant": variant, "caption": caption, "source_sha256": ""}
            for variant, captions in self.captions.items()
            for id, caption in zip(self.ids, captions, strict=True)
        ]
        return pd.DataFrame(rows)


def draw(digits: np.ndarray, count: int, photo_fraction: float, seed: int, purpose: str) -> Pictures:
    """Draw `count` pictures of `digits` (rows of `sources.digits()`) and photographs, keyed by seed and purpose."""
    key, photos = f"zoo transformer {purpose}", round(photo_fraction * count)
    chosen = rng.numpy_rng(seed, key, "digits").choice(digits, count - photos)
    plain = blend.batch(chosen, seed, key, 0, IMAGE_SIZE, with_photos=False)
    bare = blend.bare_photos(photos, seed, key, IMAGE_SIZE)
    say = {
        "short": (templates.short_caption, templates.short_photo_caption),
        "detailed": (templates.detailed_caption, templates.detailed_photo_caption),
    }
    return Pictures(
        ids=[
            *(f"digit-{purpose}-{n:05d}" for n in range(count - photos)),
            *(f"photo-{purpose}-{n:05d}" for n in range(photos)),
        ],
        images=to_tensor(np.concatenate([plain.images, bare.images]), IMAGE_SIZE),
        captions={
            variant: [of_digit(p.attributes) for p in plain.composites]
            + [of_photo(p.attributes) for p in bare.composites]
            for variant, (of_digit, of_photo) in say.items()
        },
        labels=np.concatenate([plain.digits, bare.digits]),
    )
