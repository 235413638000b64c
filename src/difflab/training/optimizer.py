"""AdamW and the learning-rate schedule of the flow loop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from difflab.training.params import FlowTrainingParams


def optimizer_and_schedule(
    parameters: Sequence[nn.Parameter], settings: "FlowTrainingParams"
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """A fused AdamW and one of diffusers' six schedules, to be stepped once per optimizer step.

    The schedule must not go through `accelerator.prepare`: a prepared one advances once per process.
    """
    from diffusers.optimization import get_scheduler

    optimizer = torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = get_scheduler(
        settings.lr_scheduler,
        optimizer,
        num_warmup_steps=settings.lr_warmup_steps,
        num_training_steps=settings.steps,
        num_cycles=settings.lr_num_cycles,
        power=settings.lr_power,
    )
    return optimizer, schedule
