"""The three text encoders of an SD3 base, in the layout that its pipeline loads, and what the CLIP-like ones learn.

All weights are drawn from a seed with scales that matter: the usual initialisers leave token embeddings near 0.02 and
attention almost silent, so hidden states would differ little from one caption to the next. Here every layer adds about
as much as it gets. The T5-like encoder stays as drawn: its tokens are distinct without training.

The CLIP-like ones learn to put a caption's pooled vector beside the features of its picture, because one of drawn
weights would hardly change from one digit to another. Locked-image tuning (Zhai et al., CVPR 2022): the image side, here
the vision encoder, stays as it is, and the text side learns by CLIP's symmetric loss (Radford et al., ICML 2021, figure 3).
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerBase, T5Config, T5EncoderModel

from difflab.core.base import rng
from difflab.core.base.files import atomic_path
from difflab.miniature.data import blend
from difflab.miniature.data.templates import detailed_caption, short_caption
from difflab.miniature.data.vocabulary import DIGIT, PHOTO
from difflab.miniature.zoo.tokenizers import clip_tokenizer, special_ids, t5_tokenizer, token_ids

if TYPE_CHECKING:
    from difflab.miniature.params import EncoderParams, ZooTextParams
    from difflab.models.vision.vision_encoder import VisionEncoder

TextModels = dict[str, tuple[CLIPTextModelWithProjection | T5EncoderModel, PreTrainedTokenizerBase]]
"""Encoder and tokenizer by the name of the encoder's folder."""

CLIP_ROLES = ("text_encoder", "text_encoder_2")
_HEAD_DIM = 8
_CHUNK = 256  # pictures that are drawn and seen at once
_PLAIN_EVERY = 4  # every fourth chunk holds plain digits: their captions are prompts too


def draw_text_models(params: "ZooTextParams", seed: int) -> TextModels:
    """The encoder of each role with its tokenizer, all weights drawn from the seed."""
    clip, t5 = (build(params.max_length, phrases=True) for build in (clip_tokenizer, t5_tokenizer))
    last = "text_encoder_3"
    models = {role: (clip_encoder(params[role], clip, seed, role), clip) for role in CLIP_ROLES}
    return models | {last: (t5_encoder(params[last], t5, seed, last), t5)}


def save_text_models(folder: str | Path, models: TextModels) -> None:
    """Write text_encoder, text_encoder_2, text_encoder_3 and tokenizer, tokenizer_2, tokenizer_3."""
    with atomic_path(folder) as temporary:
        for role, (encoder, tokenizer) in models.items():
            encoder.save_pretrained(temporary / role)
            tokenizer.save_pretrained(temporary / role.replace("text_encoder", "tokenizer"))


def clip_encoder(
    params: "EncoderParams", tokenizer: PreTrainedTokenizerBase, seed: int, role: str
) -> CLIPTextModelWithProjection:
    """A CLIP-like text encoder in eval mode; its pooled vector is as wide as its hidden states."""
    config = CLIPTextConfig(
        **special_ids(tokenizer), vocab_size=len(tokenizer), max_position_embeddings=tokenizer.model_max_length,
        hidden_size=params.hidden_size, intermediate_size=4 * params.hidden_size, projection_dim=params.hidden_size,
        num_hidden_layers=params.num_hidden_layers, num_attention_heads=params.hidden_size // _HEAD_DIM,
    )  # fmt: skip
    return _drawn(CLIPTextModelWithProjection(config), seed, role)


def t5_encoder(params: "EncoderParams", tokenizer: PreTrainedTokenizerBase, seed: int, role: str) -> T5EncoderModel:
    """A T5-like text encoder in eval mode."""
    config = T5Config(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id, feed_forward_proj="gated-gelu",
        d_model=params.hidden_size, d_kv=_HEAD_DIM, d_ff=2 * params.hidden_size,
        num_layers=params.num_hidden_layers, num_heads=params.hidden_size // _HEAD_DIM,
    )  # fmt: skip
    return _drawn(T5EncoderModel(config), seed, role)


def _drawn(model: nn.Module, seed: int, role: str) -> nn.Module:
    """Draw every weight from the seed: embeddings with variance 1, matrices with variance 1 / fan-in.

    Positions are half as strong as tokens; T5's relative-position biases have variance 1. Gains and biases
    keep their values 1 and 0.
    """
    generator = rng.torch_generator(seed, "init", role)
    scales = {"position_embedding": 0.5, "relative_attention_bias": 1.0}
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding):
                scale = next((s for part, s in scales.items() if part in name), 1.0)
                module.weight.normal_(0, scale, generator=generator)
            elif isinstance(module, nn.Linear):
                # T5 has no 1/sqrt(d) in its attention scores: its queries carry it.
                extra = _HEAD_DIM**-0.5 if name.endswith(".q") else 1.0
                module.weight.normal_(0, extra * module.in_features**-0.5, generator=generator)
    return model.requires_grad_(False).eval()


class TextSide(nn.Module):
    """A text encoder, and the projection of picture features that it is compared with in training."""

    def __init__(self, encoder: CLIPTextModelWithProjection, feature_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Sequential(
            nn.LayerNorm(feature_dim), nn.Linear(feature_dim, encoder.config.projection_dim, bias=False)
        )
        self.log_scale = nn.Parameter(torch.tensor(2.0))  # of the inverse temperature; CLIP starts at 2.66

    def texts(self, input_ids: Tensor) -> Tensor:
        """Unit vectors [n, projection_dim] of token ids [n, length]."""
        return F.normalize(self.encoder(input_ids=input_ids).text_embeds, dim=-1)

    def pictures(self, features: Tensor) -> Tensor:
        """Unit vectors [n, projection_dim] of vision encoder features [n, feature_dim]."""
        return F.normalize(self.project(features), dim=-1)

    def forward(self, input_ids: Tensor, features: Tensor) -> Tensor:
        """CLIP's loss of n pairs: each text must find its picture among the n, and each picture its text."""
        scale = self.log_scale.exp().clamp(max=100.0)
        logits = scale * self.texts(input_ids) @ self.pictures(features).T
        pair = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, pair) + F.cross_entropy(logits.T, pair)) / 2


@dataclass(frozen=True)
class Pairs:
    """Pictures, as the vision encoder sees them, with their captions."""

    features: Tensor  # float32 [n, feature_dim]
    input_ids: Tensor  # int64 [2, n, length]: a short and a detailed caption of each picture
    digits: Tensor  # int64 [n]
    photos: Tensor  # int64 [n], -1 for a plain digit


def build_sides(encoders: dict[str, CLIPTextModelWithProjection], feature_dim: int, seed: int) -> nn.ModuleDict:
    """A `TextSide` for each encoder, whose weights become trainable."""
    torch.manual_seed(rng.key(seed, "init", "text projections"))
    sides = {name: TextSide(encoder.requires_grad_(True), feature_dim) for name, encoder in encoders.items()}
    return nn.ModuleDict(sides)


@torch.inference_mode()
def draw_pairs(
    vision_encoder: "VisionEncoder",
    tokenizer: PreTrainedTokenizerBase,
    digits: np.ndarray,
    count: int,
    seed: int,
    purpose: str,
) -> Pairs:
    """Draw `count` pictures of `digits` (rows of `sources.digits()`), three quarters of them composites."""
    features, drawn = [], []
    for chunk in range(-(-count // _CHUNK)):
        chosen = rng.numpy_rng(seed, purpose, chunk).choice(digits, min(_CHUNK, count - chunk * _CHUNK))
        with_photos = chunk % _PLAIN_EVERY != _PLAIN_EVERY - 1
        drawn.append(blend.batch(chosen, seed, purpose, chunk, vision_encoder.image_size, with_photos))
        features.append(vision_encoder.features(vision_encoder.preprocess(drawn[-1].images)))
    pictures = [picture for part in drawn for picture in part.composites]
    captions = [[describe(p.attributes) for p in pictures] for describe in (short_caption, detailed_caption)]
    return Pairs(
        features=torch.cat(features).clone(),
        input_ids=torch.stack([token_ids(tokenizer, texts) for texts in captions]),
        digits=torch.cat([torch.from_numpy(part.digits) for part in drawn]),
        photos=torch.cat([torch.from_numpy(part.photos) for part in drawn]),
    )


def batch_loss(sides: nn.ModuleDict, pairs: Pairs, batch_size: int, seed: int) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a step: the sum over the encoders, which see the same captions, short or detailed by chance."""

    def loss(step: int) -> dict[str, Tensor]:
        draw = rng.numpy_rng(seed, "zoo text batch", step)
        rows = torch.from_numpy(draw.integers(len(pairs.features), size=batch_size))
        variants = torch.from_numpy(draw.integers(2, size=batch_size))
        losses = {n: side(pairs.input_ids[variants, rows], pairs.features[rows]) for n, side in sides.items()}
        return {"loss": sum(losses.values()), **losses}

    return loss


@torch.inference_mode()
def zero_shot_accuracy(
    sides: nn.ModuleDict, tokenizer: PreTrainedTokenizerBase, pairs: Pairs
) -> dict[str, float | int]:
    """Share of composites whose nearest caption among all digits x photographs names the digit, the photograph.

    As CLIP classifies without training (Radford et al. 2021, section 3.1); each encoder by itself.
    """
    names = list(itertools.product(range(len(DIGIT.columns)), range(len(PHOTO.columns))))
    prompts = [short_caption({DIGIT.columns[d]: True, PHOTO.columns[p]: True}) for d, p in names]
    composites = pairs.photos >= 0
    ids, of = token_ids(tokenizer, prompts), torch.tensor(names)
    result: dict[str, float | int] = {"n": int(composites.sum())}
    for name, side in sides.items():
        nearest = (side.pictures(pairs.features[composites]) @ side.texts(ids).T).argmax(dim=1)
        right = of[nearest] == torch.stack([pairs.digits, pairs.photos], dim=1)[composites]
        share = right.double().mean(dim=0).tolist()
        result |= {f"{name}_digit_accuracy": share[0], f"{name}_photo_accuracy": share[1]}
    return result
