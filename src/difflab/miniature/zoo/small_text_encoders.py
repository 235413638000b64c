"""The three text encoders of an SD3 base, in the layout that its pipeline loads.

Their weights are drawn from a seed; the two CLIP-like ones then learn (`difflab.miniature.zoo.contrast`), the T5-like one
stays as drawn: a random network with well-scaled weights keeps the tokens of captions apart, and the diffusion
transformer learns to read them. Scales matter: the usual initialisers leave token embeddings near 0.02 and
attention almost silent, so hidden states would differ little from one caption to the next. Here every layer
adds about as much as it gets.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base import rng
from difflab.core.base.files import atomic_path
from difflab.miniature.zoo.tokenizers import clip_tokenizer, t5_tokenizer

if TYPE_CHECKING:
    from torch import nn
    from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerBase, T5EncoderModel

    from difflab.miniature.params.text_models import EncoderParams, ZooTextParams

_HEAD_DIM = 8


CLIP_ROLES = ("text_encoder", "text_encoder_2")


@dataclass(frozen=True)
class TextModels:
    """The encoders and tokenizers of a base.

    Attributes:
        clips: two `CLIPTextModelWithProjection` of different widths, by the name of their folder.
        t5: a `T5EncoderModel`.
        clip_tokenizer: of both CLIP-like encoders.
        t5_tokenizer: of the third.
    """

    clips: dict[str, "CLIPTextModelWithProjection"]
    t5: "T5EncoderModel"
    clip_tokenizer: "PreTrainedTokenizerBase"
    t5_tokenizer: "PreTrainedTokenizerBase"

    @property
    def num_weights(self) -> int:
        return sum(p.numel() for model in (*self.clips.values(), self.t5) for p in model.parameters())


def draw_text_models(params: "ZooTextParams", seed: int) -> TextModels:
    """All weights drawn from the seed."""
    clip, t5 = clip_tokenizer(params.max_length), t5_tokenizer(params.max_length)
    return TextModels(
        clips={role: clip_encoder(getattr(params, role), clip, seed, role) for role in CLIP_ROLES},
        t5=t5_encoder(params.text_encoder_3, t5, seed, "text_encoder_3"),
        clip_tokenizer=clip,
        t5_tokenizer=t5,
    )


def save_text_models(folder: str | Path, models: TextModels) -> None:
    """Write text_encoder, text_encoder_2, text_encoder_3 and tokenizer, tokenizer_2, tokenizer_3."""
    parts = {role: (models.clips[role], models.clip_tokenizer) for role in CLIP_ROLES}
    parts["text_encoder_3"] = (models.t5, models.t5_tokenizer)
    with atomic_path(folder) as temporary:
        for role, (encoder, tokenizer) in parts.items():
            encoder.save_pretrained(temporary / role)
            tokenizer.save_pretrained(temporary / role.replace("text_encoder", "tokenizer"))


def clip_encoder(
    params: "EncoderParams", tokenizer: "PreTrainedTokenizerBase", seed: int, role: str
) -> "CLIPTextModelWithProjection":
    """A CLIP-like text encoder in eval mode; its pooled vector is as wide as its hidden states."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=4 * params.hidden_size,
        num_hidden_layers=params.num_hidden_layers,
        num_attention_heads=params.hidden_size // _HEAD_DIM,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=params.hidden_size,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _drawn(CLIPTextModelWithProjection(config), seed, role)


def t5_encoder(params: "EncoderParams", tokenizer: "PreTrainedTokenizerBase", seed: int, role: str) -> "T5EncoderModel":
    """A T5-like text encoder in eval mode."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=params.hidden_size,
        d_kv=_HEAD_DIM,
        d_ff=2 * params.hidden_size,
        num_layers=params.num_hidden_layers,
        num_heads=params.hidden_size // _HEAD_DIM,
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return _drawn(T5EncoderModel(config), seed, role)


def _drawn(model: "nn.Module", seed: int, role: str) -> "nn.Module":
    """Draw every weight from the seed: embeddings with variance 1, matrices with variance 1 / fan-in.

    Positions are half as strong as tokens; T5's relative-position biases have variance 1. Gains and biases
    keep their values 1 and 0.
    """
    import torch
    from torch import nn

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
