"""An instruction model of the smallest size with random weights, and its processor."""

from pathlib import Path

import torch

from difflab.miniature.params import ZooInstructParams
from difflab.miniature.zoo import small_llava
from difflab.miniature.zoo.vit import build_vit
from difflab.models.vision.preprocessing import Preprocessor
from fakes.zoo import fit_params, save, size

SIZE, GRID = 32, 4
SMALL = size(num_hidden_layers=2)
TRAINING = fit_params(steps=150, batch_size=16, warmup_steps=10)
SETTINGS = ZooInstructParams(hub=None, text=SMALL, training=TRAINING)


def asking(instruction: str = "Read the digit.", **changes) -> dict:
    """Arguments of `InstructCaptioner.__call__`."""
    return {"instruction": instruction, "batch_size": 8, "max_new_tokens": 6, **changes}


def vit():
    torch.manual_seed(0)
    shape = {**SMALL.model_dump(), "image_size": SIZE, "patch_size": SIZE // GRID}
    return build_vit(**shape).eval()


def processor():
    return small_llava.build_processor(
        vit().config, Preprocessor("", vit().config.image_size), small_llava.vocabulary()
    )


def model(seed: int = 0):
    """As the zoo builds it, but loud: its answers differ from picture to picture, and rounding decides nothing."""
    made = small_llava.build(vit(), processor(), SETTINGS, seed)
    return louder(made).eval()


def saved(folder: str | Path) -> str | Path:
    """The role as the zoo writes it."""
    return save(folder, model(), processor())


def louder(made, factor: float = 6):
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.ndim == 2 and "vision_tower" not in name:
                parameter.mul_(factor)
    return made
