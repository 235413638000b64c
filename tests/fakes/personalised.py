"""A subject that was taught to a tiny base by each method, as a job of the app leaves it."""

from dataclasses import replace

import torch

from difflab.app.personalise.outcome import Outcome
from difflab.app.personalise.wish import Wish
from difflab.personal import methods
from difflab.personal.base import Base
from difflab.personal.params import PersonalLoraParams
from fakes import tiny_pipelines

WISH = Wish("sks", "dog", "a photo of {token} {class}", "lora", "none", 60)
METHODS = ("lora", "lora_text", "full", "textual_inversion")
LORA = PersonalLoraParams(rank=2, alpha=None, targets=["to_q", "to_v"], text_targets=["q_proj"])


def trained(method, folder):
    """A model that a method has changed, as the stage saves it."""
    base = Base(tiny_pipelines.pipeline("sd")).frozen_copy()
    part = methods.prepare(base, method, LORA, WISH.words, 0)
    with torch.no_grad():
        for parameter in part.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    methods.save(folder, base, method, LORA, WISH.words, "base")
    return Outcome(replace(WISH, method=method), folder, {})
