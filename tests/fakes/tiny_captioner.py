"""A captioner of the smallest size with random weights, its base models as roles, and pictures to caption."""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from difflab.captioning.captioner_model.visual_prefix import Captioner
from difflab.captioning.params import CaptionerLoraParams, CaptionerParams, CaptionerTrainingParams, DecodingParams
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.zoo.causal import llama_config
from difflab.miniature.zoo.tokenizers import base_tokenizer
from difflab.miniature.zoo.vit import build_vit
from fakes.zoo import fit_params, size

WIDTH, HIDDEN, LAYERS, SIZE, GRID = 16, 32, 2, 16, 4
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@cache
def tokenizer():
    return base_tokenizer([text for title in titles(3, "Coffee") for text in (title, f" {title}")])


def encoder(seed: int = 0):
    torch.manual_seed(seed)
    shape = size(hidden_size=WIDTH, num_attention_heads=4, intermediate_size=32).model_dump()
    return build_vit(**shape, image_size=SIZE, patch_size=SIZE // GRID).eval()


def language_model(seed: int = 0):
    """A Llama whose own settings ask for unseeded sampling, as those of the released ones do."""
    from transformers import LlamaForCausalLM

    shape = size(hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=4).model_dump()
    torch.manual_seed(seed)
    model = LlamaForCausalLM(llama_config(tokenizer(), **shape, num_key_value_heads=2)).eval()
    with torch.no_grad():  # far from uniform, so that captions differ and rounding decides nothing
        for parameter in model.parameters():
            parameter.mul_(6 if parameter.dim() > 1 else 1)
        model.get_input_embeddings().weight.mul_(6)
    model.generation_config.do_sample, model.generation_config.temperature = True, 0.6
    return model


def training(**changes) -> CaptionerTrainingParams:
    values = {"steps": 12, "weight_decay": 0.01, "warmup_steps": 2, "checkpoint_interval": 5, "log_interval": 4}
    ema_decay = changes.pop("ema_decay", 0.0)
    return CaptionerTrainingParams(ema_decay=ema_decay, **fit_params(**{**values, **changes}).model_dump())


def decoding(**changes) -> DecodingParams:
    return DecodingParams(**{"batch_size": 3, "max_new_tokens": 7, "num_beams": 1, **changes})


def params(lora: dict | None = None, **changes) -> CaptionerParams:
    adapter = {"rank": 2, "alpha": 4, "dropout": 0.1, "targets": TARGETS} | (lora or {})
    values = {
        "patch_pooling": 2, "visual_dropout": 0.1, "lora": CaptionerLoraParams(**adapter),
        "training": training(), "decoding": decoding(), "originals": [None], "seeds": [0],
        "subset_seeds": [0],
    }  # fmt: skip
    return CaptionerParams(**{**values, **changes})


def captioner(awake: bool = True, seed: int = 0, **changes) -> Captioner:
    made = Captioner(encoder(), language_model(), tokenizer(), params(**changes), seed)
    return (awakened(made) if awake else made).eval()


def awakened(made: Captioner) -> Captioner:
    """With random weights in the adapter, which changes nothing at first, and pictures that matter to captions."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in made.language_model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        made.projector[3].weight.mul_(10)
    return made


def save_roles(folder: Path, seed: int = 0) -> Path:
    """The base models as models/zoo has them."""
    encoder(seed).save_pretrained(folder / "vision_encoder")
    language_model(seed).save_pretrained(folder / "language")
    tokenizer().save_pretrained(folder / "language")
    return folder


def images(count: int, side: int = SIZE) -> np.ndarray:
    """Random pictures, uint8 [count, side, side, 3]."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def some_titles(count: int, each: int = 1) -> list[tuple[str, ...]]:
    """The titles of `count` pictures, of different lengths."""
    forms = [titles(n % 10, PHOTO_NAMES[n % len(PHOTO_NAMES)]) for n in range(count)]
    return [tuple(form[(n + k) % len(form)] for k in range(each)) for n, form in enumerate(forms)]
