"""Parameters of the zoo in its smallest size: a builder for each group, of which tests change what matters to them."""

from pathlib import Path

from difflab.miniature.params import (
    EncoderParams,
    TransformerSize,
    ZooBlip2Params,
    ZooGemmaParams,
    ZooLanguageParams,
    ZooLlamaParams,
    ZooTextParams,
    ZooTransformerParams,
    ZooVaeParams,
    ZooVisionEncoderParams,
)
from difflab.training.params import FitParams
from fakes.flow import density_params, flow_settings


def fit_params(**changes) -> FitParams:
    values = {
        "steps": 60, "batch_size": 4, "learning_rate": 1e-2, "weight_decay": 0.0, "warmup_steps": 5,
        "max_grad_norm": 1.0, "checkpoint_interval": 1000, "log_interval": 1000,
    }  # fmt: skip
    return FitParams(**{**values, **changes})


def vae(**changes) -> ZooVaeParams:
    values = {
        "hub": None, "latent_channels": 16, "block_out_channels": [4, 8, 8], "layers_per_block": 1,
        "norm_num_groups": 2, "kl_weight": 0.01, "plain_fraction": 0.25,
        "training": fit_params(steps=12, batch_size=8, learning_rate=2e-3, warmup_steps=1, log_interval=4),
    }  # fmt: skip
    return ZooVaeParams(**{**values, **changes})


def text(widths: tuple[int, int, int], **changes) -> ZooTextParams:
    names = ("text_encoder", "text_encoder_2", "text_encoder_3")
    encoders = {n: EncoderParams(hidden_size=w, num_hidden_layers=2) for n, w in zip(names, widths, strict=True)}
    values = {"hub": None, "max_length": 24, "num_images": 1, "num_held_out": 1, "training": fit_params()}
    return ZooTextParams(**{**values, **encoders, **changes})


def transformer(**changes) -> ZooTransformerParams:
    values = {
        "hub": None, "patch_size": 2, "num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 32,
        "num_images": 8, "photo_fraction": 0.5, "num_held_out": 2, "max_sequence_length": 8,
        "training": flow_settings(), "density": density_params(convention="sigma", shift=1.0), "logit_mean": 0.0,
    }  # fmt: skip
    return ZooTransformerParams(**{**values, **changes})


def llama(**changes) -> ZooLlamaParams:
    values = {"hidden_size": 32, "num_hidden_layers": 1, "wrong_caption": 0.5, "evaluated": 4}
    return ZooLlamaParams(**{"hub": None, "training": fit_params(), **values, **changes})


def gemma(**changes) -> ZooGemmaParams:
    values = {"hidden_size": 32, "num_hidden_layers": 2, "evaluated": 4}
    return ZooGemmaParams(**{"hub": None, "training": fit_params(), **values, **changes})


def language(**changes) -> ZooLanguageParams:
    values = {"hidden_size": 32, "num_hidden_layers": 1, "titles": 2, "evaluated": 3}
    training = fit_params(batch_size=8, log_interval=20)
    return ZooLanguageParams(**{"hub": None, "training": training, **values, **changes})


def size(**changes) -> TransformerSize:
    values = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    return TransformerSize(**{**values, **changes})


def blip2(**changes) -> ZooBlip2Params:
    training = fit_params(steps=150, batch_size=16, learning_rate=3e-3, warmup_steps=10)
    values = {"num_query_tokens": 3, "qformer": size(), "text": size(), "training": training}
    return ZooBlip2Params(**{"hub": None, **values, **changes})


def vision_encoder(**changes) -> ZooVisionEncoderParams:
    values = {
        "image_size": 32, "patch_size": 8, "plain_share": 0.5, "plain_floor": 0.25, "photo_weight": 0.5,
        "label_smoothing": 0.0, "training": fit_params(steps=150, batch_size=32, learning_rate=3e-3, warmup_steps=4),
    }  # fmt: skip
    return ZooVisionEncoderParams(**{"hub": None, **size(num_hidden_layers=2).model_dump(), **values, **changes})


def save(folder: Path, *parts) -> Path:
    """Write a model and its tokenizer or processor as the stages of the zoo do."""
    for part in parts:
        part.save_pretrained(folder)
    return folder
