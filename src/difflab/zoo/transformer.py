"""The miniature's base model: a small SD3Transformer2DModel, and the captioned plain digits it learns."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab import rng
from difflab.captions.templates import detailed_caption, short_caption
from difflab.data import blend
from difflab.data.preprocess import to_tensor

if TYPE_CHECKING:
    from diffusers.models import SD3Transformer2DModel
    from torch import Tensor

    from difflab.params.zoo_image import ZooTransformerParams

IMAGE_SIZE = 32
VARIANTS = ("short", "detailed")
HELD_OUT_EVERY = 16  # of the training digits, every sixteenth serves the held-out loss only
_PURPOSE = "zoo transformer"


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


@dataclass(frozen=True)
class PlainDigits:
    """Plain digits, light on black, with their captions.

    Attributes:
        ids: "plain-00000", ...
        images: float32 [n, 3, 32, 32] in [-1, 1].
        captions: one list of n captions for each of `VARIANTS`.
        labels: the digit in each image, int64 [n].
    """

    ids: list[str]
    images: "Tensor"
    captions: dict[str, list[str]]
    labels: np.ndarray

    def caption_table(self) -> pd.DataFrame:
        """All captions as rows of `captions.table`."""
        rows = [
            {"id": id, "variant": variant, "caption": caption, "source_sha256": ""}
            for variant, captions in self.captions.items()
            for id, caption in zip(self.ids, captions, strict=True)
        ]
        return pd.DataFrame(rows)


def plain_digits(digits: np.ndarray, count: int, seed: int, purpose: str) -> PlainDigits:
    """Draw `count` plain digits among `digits` (rows of `bundled.digits()`), keyed by seed and purpose."""
    purpose = f"{_PURPOSE} {purpose}"
    chosen = rng.numpy_rng(seed, purpose, "digits").choice(digits, count)
    images, composites = blend.batch(chosen, seed, purpose, 0, IMAGE_SIZE, with_photos=False)
    describe = {"short": short_caption, "detailed": detailed_caption}
    return PlainDigits(
        ids=[f"plain-{purpose.rpartition(' ')[2]}-{n:05d}" for n in range(count)],
        images=to_tensor(images, IMAGE_SIZE),
        captions={v: [describe[v](c.attributes) for c in composites] for v in VARIANTS},
        labels=np.array([c.digit for c in composites]),
    )


def write_scheduler(folder: str | Path, shift: float) -> None:
    """Write the `FlowMatchEulerDiscreteScheduler` configuration beside the transformer."""
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=shift).save_pretrained(
        Path(folder) / "scheduler"
    )
