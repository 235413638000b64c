"""Groups of everything that trains: the small supervised loop, the flow loop, its density and LoRA."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group

WeightingScheme = Literal["none", "logit_normal", "sigma_sqrt", "mode", "cosmap"]
LrScheduler = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]


class LoopParams(Group):
    """What every training has, see `difflab.training.loop`."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    checkpoint_interval: int = Field(ge=1)
    log_interval: int = Field(ge=1)


class FitParams(LoopParams):
    """Settings of `difflab.training.supervised.fit`: AdamW, linear warm-up, cosine decay to zero."""

    warmup_steps: int = Field(ge=0)


class FlowTrainingParams(LoopParams):
    """Settings of `difflab.sd3.training.flow_training.train_flow`, for LoRA and for full training."""

    gradient_accumulation_steps: int = Field(ge=1)
    adam_beta1: float = Field(ge=0, lt=1)
    adam_beta2: float = Field(ge=0, lt=1)
    adam_epsilon: float = Field(gt=0)
    lr_scheduler: LrScheduler
    lr_warmup_steps: int = Field(ge=0)
    lr_num_cycles: int = Field(ge=1)
    lr_power: float = Field(gt=0)
    ema_decay: float = Field(ge=0, lt=1)
    prompt_dropout: float = Field(ge=0, le=1)
    prediction_loss: Literal["velocity", "x0"]
    gradient_checkpointing: bool
    validation_interval: int = Field(ge=1)


class DensityParams(Group):
    """The training density of sigma (1 = pure noise) and the loss weight; see `difflab.sd3.training.density`."""

    weighting_scheme: WeightingScheme
    convention: Literal["sigma", "diffusers"]
    logit_std: float = Field(gt=0)
    mode_scale: float = Field(ge=-1, le=1.75)
    shift: float = Field(gt=0)
