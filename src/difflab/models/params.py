"""Parameters of models: where they come from, how language models write, how pictures are sampled, LoRA."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from difflab.core.params.base import Distinct, Group, Width
from difflab.core.params.common import HubRef

Rulers = Literal["committed", "retrain"]  # see difflab.models.rulers
BasePrecision = Literal["full", "8bit", "4bit"]  # see difflab.models.lora.load_quantised
SchedulerName = Literal["own", "ddpm", "ddim", "euler", "dpm++", "flow-match"]


class GenerationParams(Group):
    """How a language model writes: greedily, or by sampling keyed by sample id."""

    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=1)
    do_sample: bool
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)


class PipelineParams(Group):
    """A text-to-image model and how it is used where nothing else is said."""

    hub: HubRef | None
    distilled: bool
    scheduler: SchedulerName
    num_inference_steps: int = Field(ge=1, le=1000)  # the levels of noise that all of them were trained on
    guidance_scale: float = Field(ge=1, le=100)


class AutoencoderParams(Group):
    """A small AutoencoderKL and the weight of its KL divergence; see `difflab.models.autoencoder`."""

    latent_channels: int = Field(ge=1)
    block_out_channels: list[Width] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1)
    kl_weight: float = Field(ge=0)

    @model_validator(mode="after")
    def _groups_divide(self) -> "AutoencoderParams":
        if odd := [width for width in self.block_out_channels if width % self.norm_num_groups]:
            raise ValueError(f"norm_num_groups {self.norm_num_groups} does not divide the width {odd[0]}")
        return self


class LoraParams(Group):
    """A LoRA adapter of an SD3 transformer; see `difflab.models.lora`."""

    rank: int = Field(ge=1)
    alpha: float | None = Field(gt=0)
    targets: Distinct[str] = Field(min_length=1)
    blocks: list[int] | Literal["all"]

    @field_validator("blocks")
    @classmethod
    def _blocks_are_a_choice(cls, blocks: list[int] | str) -> list[int] | str:
        if isinstance(blocks, list) and (not blocks or min(blocks) < 0 or len(set(blocks)) < len(blocks)):
            raise ValueError("give 'all' or different block numbers from 0 on")
        return blocks
