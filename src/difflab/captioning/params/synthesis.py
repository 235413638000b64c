"""Groups of the stages that make pictures of titles."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from difflab.core.params.base import COMMON, Distinct, Group, share
from difflab.models.params import HubRef, PipelineParams, SchedulerName


def _shared(model: type[Group]) -> BeforeValidator:
    """The values of a mapping are groups of one model, which take from `common` what they do not give."""

    def take(values: Any) -> Any:
        return share(values, dict.fromkeys(values.keys() - {COMMON}, model)) if isinstance(values, dict) else values

    return BeforeValidator(take)


class SynthesizeParams(Group):
    """`synthesize`: a picture for every variation of a title."""

    positive: str
    negative: str
    scheduler: SchedulerName
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=1)
    batch_size: int = Field(ge=1)
    image_size: int | None = Field(ge=8, le=4096)
    sheet_images: int = Field(ge=1)

    @model_validator(mode="after")
    def _negative_prompts_act(self) -> "SynthesizeParams":
        if self.negative and self.guidance_scale == 1:
            raise ValueError("a negative prompt acts through guidance: set guidance_scale above 1")
        return self


class AxesParams(Group):
    """The axes of one sweep: every combination is a cell."""

    models: Distinct[str] = Field(min_length=1)
    schedulers: Distinct[SchedulerName] = Field(min_length=1)
    num_inference_steps: Distinct[int] = Field(min_length=1)
    guidance_scales: Distinct[float] = Field(min_length=1)
    negative: Distinct[bool] = Field(min_length=1)


class SweepParams(Group):
    """`sweep`: the same noise and prompts under many options."""

    num_images: int = Field(ge=2)
    batch_size: int = Field(ge=1)
    shown: int = Field(ge=1)
    negative: str
    clip: HubRef | None
    presets: Annotated[dict[str, AxesParams], _shared(AxesParams)] = Field(min_length=1)
    known: Annotated[dict[str, PipelineParams], _shared(PipelineParams)] = Field(min_length=1)

    @model_validator(mode="after")
    def _models_are_known(self) -> "SweepParams":
        for name, axes in self.presets.items():
            if unknown := [model for model in axes.models if model not in self.known]:
                raise ValueError(f"presets.{name} has the unknown model '{unknown[0]}': one of {', '.join(self.known)}")
            if True in axes.negative and not self.negative:
                raise ValueError(f"presets.{name} asks for a negative prompt, but negative is empty")
        return self
