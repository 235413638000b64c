"""AdamW with a schedule of the learning rate, the average of the weights, and the precision of training."""

import math
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR as Schedule

from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import resolve_device, resolve_dtype

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel

    from difflab.core.params.common import RuntimeParams
    from difflab.training.params import FitParams, FlowTrainingParams


def adamw_with_cosine(model: nn.Module, settings: "FitParams") -> tuple[AdamW, Schedule]:
    """A fused AdamW on what requires a gradient, with a learning rate as in `warmup_cosine`."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    return optimizer, Schedule(optimizer, lambda step: warmup_cosine(step, settings))


def warmup_cosine(step: int, settings: "FitParams") -> float:
    """The factor of the learning rate in step `step`: linear from 1/warmup to 1, then half a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def adamw_with_schedule(model: nn.Module, settings: "FlowTrainingParams") -> tuple[AdamW, Schedule]:
    """A fused AdamW on what requires a gradient, with one of diffusers' six schedules."""
    from diffusers.optimization import get_scheduler

    optimizer = AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2), eps=settings.adam_epsilon,
        weight_decay=settings.weight_decay, fused=True,
    )  # fmt: skip
    return optimizer, get_scheduler(
        settings.lr_scheduler, optimizer, num_warmup_steps=settings.lr_warmup_steps,
        num_training_steps=settings.steps, num_cycles=settings.lr_num_cycles, power=settings.lr_power,
    )  # fmt: skip


def moving_average(parameters: Sequence[nn.Parameter], decay: float) -> "EMAModel | None":
    """An average with warm-up: update n decays by min(decay, n / (9 + n)), the first by 0; None for decay 0."""
    if not decay:
        return None
    from diffusers.training_utils import EMAModel

    return EMAModel(parameters, decay=decay, foreach=True)


@contextmanager
def averaged(ema: "EMAModel | None", parameters: Sequence[nn.Parameter]) -> Generator[None]:
    """The parameters hold their average inside the block, and their own values again after it."""
    if ema is None:
        yield
        return
    ema.store(parameters)
    ema.copy_to(parameters)
    try:
        yield
    finally:
        ema.restore(parameters)


def autocast_of(runtime: "RuntimeParams") -> AbstractContextManager[object]:
    """The precision of a forward pass in training; in float32 it does nothing. It can be entered many times.

    Raises:
        DifflabError: float16, whose loss scaling is not part of the saved state.
    """
    if runtime.dtype == "float16":
        raise DifflabError("runtime.dtype float16 is for inference only: train with bfloat16 or float32")
    dtype = resolve_dtype(runtime.dtype)
    return nullcontext() if dtype == torch.float32 else torch.autocast(resolve_device(runtime.device).type, dtype)
