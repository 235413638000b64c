"""An untrained BLIP-2."""

from pathlib import Path

import torch

from difflab.miniature.zoo import small_blip2
from difflab.miniature.zoo.vit import build_vit
from difflab.models.params import GenerationParams
from difflab.models.vision.preprocessing import Preprocessor
from fakes.zoo import blip2, save, size

GREEDY = GenerationParams(batch_size=8, max_new_tokens=6, do_sample=False, temperature=1, top_p=1)
SMALL = size()


def a_vit():
    torch.manual_seed(0)
    vit = build_vit(**SMALL.model_dump(), image_size=32, patch_size=8)
    with torch.no_grad():  # strong features: an untrained model should still tell pictures apart
        vit.layernorm.weight.mul_(4)
    return vit.eval()


def save_blip2(folder: Path) -> Path:
    """A BLIP-2 with T5, untrained but loud: its captions differ from picture to picture."""
    processor = small_blip2.build_processor(Preprocessor("", 32), 3)
    model = small_blip2.build(a_vit(), processor, blip2(), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and not name.startswith("vision_model"):
                parameter.mul_(3)
    return save(folder, model, processor)
