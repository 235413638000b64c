"""An instruction model of the smallest size with random weights, and its processor."""

import torch

from difflab.miniature.params.vision_models import TransformerSize, ZooInstructParams
from difflab.miniature.zoo import small_llava
from difflab.miniature.zoo.llava_processor import build_processor
from difflab.models.vision.vit import build_vit
from difflab.training.params import FitParams

SIZE, GRID = 32, 4
SMALL = TransformerSize(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
TRAINING = FitParams(
    steps=150,
    batch_size=16,
    learning_rate=1e-2,
    weight_decay=0.0,
    warmup_steps=10,
    max_grad_norm=1.0,
    checkpoint_interval=1000,
    log_interval=1000,
)
SETTINGS = ZooInstructParams(hub=None, text=SMALL, training=TRAINING)


def asking(instruction: str = "Read the digit.", **changes) -> dict:
    """Arguments of `InstructCaptioner.__call__`."""
    return {"instruction": instruction, "batch_size": 8, "max_new_tokens": 6, **changes}


def vit():
    torch.manual_seed(0)
    size = {**SMALL.model_dump(), "image_size": SIZE, "patch_size": SIZE // GRID}
    return build_vit(**size).eval()


def processor():
    return build_processor(vit().config, small_llava.vocabulary())


def model(seed: int = 0):
    """As the zoo builds it, but loud: its answers differ from picture to picture, and rounding decides nothing."""
    made = small_llava.build(vit(), processor(), SETTINGS, seed)
    return louder(made).eval()


def louder(made, factor: float = 6):
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.ndim == 2 and "vision_tower" not in name:
                parameter.mul_(factor)
    return made
