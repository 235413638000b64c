"""Groups of the fine-tuning."""

from pydantic import Field, model_validator

from difflab.core.params.base import Distinct, Group
from difflab.models.params import LoraParams
from difflab.training.params import DensityParams, FlowTrainingParams


class FinetuneParams(Group):
    """`finetune`: LoRA fine-tuning of the base on cached latents and prompts."""

    seed: int = Field(ge=0)
    training: FlowTrainingParams
    density: DensityParams
    lora: LoraParams
    add_celeba: bool
    validation_samples: int = Field(ge=1)
    adapter_steps: Distinct[int]

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
