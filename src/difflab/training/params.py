"""Groups of everything that trains: the small supervised loop, the flow loop, its density and LoRA."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from difflab.core.params.base import Distinct, Group

WeightingScheme = Literal["none", "logit_normal", "sigma_sqrt", "mode", "cosmap"]
LrScheduler = Literal[
    "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"
]


class FitParams(Group):
    """Settings of `difflab.training.supervised.fit`: AdamW, linear warm-up, cosine decay to zero."""

    steps: int = Field(ge=1, description="optimizer steps")
    batch_size: int = Field(ge=1, description="samples in a step")
    learning_rate: float = Field(gt=0, description="peak learning rate")
    weight_decay: float = Field(ge=0, description="decoupled weight decay of AdamW")
    warmup_steps: int = Field(ge=0, description="steps of linear warm-up")
    max_grad_norm: float = Field(gt=0, description="gradients are clipped to this norm")
    checkpoint_interval: int = Field(ge=1, description="steps between two saved states")
    log_interval: int = Field(ge=1, description="steps between two status lines")


class FlowTrainingParams(Group):
    """Settings of `difflab.sd3.training.flow_training.train_flow`, for LoRA and for full training."""

    steps: int = Field(ge=1, description="optimizer steps")
    batch_size: int = Field(ge=1, description="images in a forward pass, over all processes")
    gradient_accumulation_steps: int = Field(ge=1, description="forward passes in an optimizer step")
    learning_rate: float = Field(gt=0, description="peak learning rate")
    adam_beta1: float = Field(ge=0, lt=1)
    adam_beta2: float = Field(ge=0, lt=1)
    adam_epsilon: float = Field(gt=0)
    weight_decay: float = Field(ge=0, description="decoupled weight decay of AdamW")
    lr_scheduler: LrScheduler
    lr_warmup_steps: int = Field(ge=0, description="optimizer steps of linear warm-up")
    lr_num_cycles: int = Field(ge=1, description="cycles of cosine_with_restarts")
    lr_power: float = Field(gt=0, description="exponent of polynomial")
    max_grad_norm: float = Field(gt=0, description="gradients are clipped to this norm")
    ema_decay: float = Field(ge=0, lt=1, description="decay of the weight average; 0 keeps none")
    prompt_dropout: float = Field(ge=0, le=1, description="share of samples trained with the empty prompt")
    prediction_loss: Literal["velocity", "x0"] = Field(
        description="what the squared error is taken of; x0 is velocity times sigma^2"
    )
    gradient_checkpointing: bool = Field(description="recompute activations in backward: less memory, slower")
    validation_interval: int = Field(ge=1, description="optimizer steps between two curve rows")
    checkpoint_interval: int = Field(ge=1, description="optimizer steps between two saved states")
    log_interval: int = Field(ge=1, description="optimizer steps between two status lines")


class DensityParams(Group):
    """The training density of sigma (1 = pure noise) and the loss weight; see `difflab.sd3.training.density`."""

    weighting_scheme: WeightingScheme
    convention: Literal["sigma", "diffusers"] = Field(
        description="sigma: a mean > 0 is more noise, as in the paper; diffusers: less, as in its scripts"
    )
    logit_std: float = Field(gt=0, description="standard deviation of logit_normal")
    mode_scale: float = Field(ge=-1, le=1.75, description="scale of mode; 1.29 in the SD3 paper")
    shift: float = Field(gt=0, description="timestep shift; 3 for SD3 at 1024 px, 1 for none")


class LoraParams(Group):
    """A LoRA adapter of an SD3 transformer; see `difflab.sd3.adapters`."""

    rank: int = Field(ge=1)
    alpha: float | None = Field(gt=0, description="the update is scaled by alpha / rank; null: the rank")
    targets: Distinct[str] = Field(
        min_length=1, description="presets (attn, attn2, ff) or names such as attn.to_q"
    )
    blocks: list[int] | Literal["all"] = Field(description="indices of transformer blocks")

    @field_validator("blocks")
    @classmethod
    def _blocks_are_a_choice(cls, blocks: list[int] | str) -> list[int] | str:
        if blocks != "all" and (not blocks or min(blocks) < 0 or len(set(blocks)) < len(blocks)):
            raise ValueError("give 'all' or different block numbers from 0 on")
        return blocks


class FinetuneParams(Group):
    """`finetune`: LoRA fine-tuning of the base on cached latents and prompts."""

    seed: int = Field(ge=0, description="of this training alone: a repetition on the same data and base")
    training: FlowTrainingParams
    density: DensityParams
    lora: LoraParams
    add_celeba: bool = Field(description="train on the CelebA add-on too")
    validation_samples: int = Field(ge=1, description="held-out images in the validation loss")
    adapter_steps: Distinct[int] = Field(description="steps whose adapter is kept for the step curve")

    @model_validator(mode="after")
    def _adapter_steps_happen(self) -> "FinetuneParams":
        if beyond := [s for s in self.adapter_steps if not 0 < s <= self.training.steps]:
            raise ValueError(f"adapter_steps has {beyond[0]}, but training.steps is {self.training.steps}")
        return self


class LogitMeanParams(Group):
    """`logit_mean`: the mean of the logit-normal density in each column of the study."""

    minus: float = Field(ge=-10, le=10)
    zero: float = Field(ge=-10, le=10)
    plus: float = Field(ge=-10, le=10)
