"""The three frozen text encoders of an SD3 base, drawn from a seed, in the layout that its pipeline loads.

They are not trained: a random network with well-scaled weights keeps captions apart, and the diffusion
transformer learns to read it. Scales matter: the usual initialisers leave token embeddings near 0.02 and
attention almost silent, so hidden states would differ little from one caption to the next. Here every layer
adds about as much as it gets.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab import rng
from difflab.files import atomic_path
from difflab.params.zoo_text import EncoderParams, ZooTextParams
from difflab.zoo.tokenizers import clip_tokenizer, t5_tokenizer

if TYPE_CHECKING:
    from torch import nn
    from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerBase, T5EncoderModel

_HEAD_DIM = 8


def write_text_encoders(folder: str | Path, params: ZooTextParams, seed: int) -> int:
    """Write text_encoder, text_encoder_2, text_encoder_3 and their tokenizers; the number of weights.

    The two CLIP-like encoders are `CLIPTextModelWithProjection` of different widths, the third is a
    `T5EncoderModel`.
    """
    clip, t5 = clip_tokenizer(params.max_length), t5_tokenizer(params.max_length)
    parts = {
        "text_encoder": (clip_encoder(params.text_encoder, clip, seed, "text_encoder"), clip),
        "text_encoder_2": (clip_encoder(params.text_encoder_2, clip, seed, "text_encoder_2"), clip),
        "text_encoder_3": (t5_encoder(params.text_encoder_3, t5, seed, "text_encoder_3"), t5),
    }
    with atomic_path(folder) as temporary:
        for name, (encoder, tokenizer) in parts.items():
            encoder.save_pretrained(temporary / name)
            tokenizer.save_pretrained(temporary / name.replace("text_encoder", "tokenizer"))
    return sum(p.numel() for encoder, _ in parts.values() for p in encoder.parameters())


def clip_encoder(
    params: EncoderParams, tokenizer: "PreTrainedTokenizerBase", seed: int, role: str
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


def t5_encoder(
    params: EncoderParams, tokenizer: "PreTrainedTokenizerBase", seed: int, role: str
) -> "T5EncoderModel":
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
