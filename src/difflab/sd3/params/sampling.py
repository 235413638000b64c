"""Groups of the generating stages."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Distinct, Group
from difflab.models.params import HubRef, PipelineParams, SchedulerName

Split = Literal["train", "val", "test"]


class GenerateParams(Group):
    """`generate`: images for the prompts of a split."""

    split: Split = Field(description="whose captions are the prompts")
    num_images: int | None = Field(ge=1, description="the first samples of the split only; null: all")
    seeds: Distinct[int] = Field(min_length=1, description="generation seeds, each gives every image once")
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(
        ge=0, description="classifier-free guidance against the empty prompt; 1: none"
    )
    batch_size: int = Field(ge=1, description="images in a forward pass; changes results by rounding only")
    grid_images: int = Field(ge=1, description="images in each picture of the report")


class CurveParams(Group):
    """What both curves are measured on: one cell and a number of images."""

    captions: Literal["blip2", "llama3"] = Field(description="captions of the fine-tuned cell")
    logit_mean: Literal["minus", "zero", "plus"] = Field(description="logit mean of the fine-tuned cell")
    num_images: int = Field(ge=2, description="the first samples of generate.split")


class GuidanceCurveParams(CurveParams):
    """`guidance_curve`: Frechet distance and accuracy against the guidance scale."""

    guidance_scales: Distinct[float] = Field(min_length=1)


class StepCurveParams(CurveParams):
    """`step_curve`: the same against the training step, at generate.guidance_scale."""


class SynthesizeParams(Group):
    """`synthesize`: a picture for every variation of a title."""

    positive: str = Field(description="follows the title in every prompt")
    negative: str = Field(description="the negative prompt; empty: the empty prompt")
    scheduler: SchedulerName = Field(description="own: what the model came with")
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=1, description="classifier-free guidance; 1: none")
    batch_size: int = Field(ge=1, description="images in a forward pass; changes results by rounding only")
    image_size: int | None = Field(
        ge=8, le=4096, description="longer side of the stored pictures; null: as the model makes them"
    )
    sheet_images: int = Field(ge=1, description="pictures on the contact sheet")

    @model_validator(mode="after")
    def _negative_prompts_act(self) -> "SynthesizeParams":
        if self.negative and self.guidance_scale == 1:
            raise ValueError("a negative prompt acts through guidance: set guidance_scale above 1")
        return self


class AxesParams(Group):
    """The axes of one sweep: every combination is a cell."""

    models: Distinct[str] = Field(min_length=1, description="names of sweep.known")
    schedulers: Distinct[SchedulerName] = Field(min_length=1)
    num_inference_steps: Distinct[int] = Field(min_length=1)
    guidance_scales: Distinct[float] = Field(min_length=1)
    negative: Distinct[bool] = Field(min_length=1, description="whether the negative prompt is given")


class SweepParams(Group):
    """`sweep`: the same noise and prompts under many options."""

    num_images: int = Field(ge=2, description="pictures of each cell: the first variations of titles")
    batch_size: int = Field(ge=1, description="images in a forward pass; changes results by rounding only")
    shown: int = Field(ge=1, description="pictures of each cell in the grid")
    negative: str = Field(description="the negative prompt of the cells that have one")
    clip: HubRef | None = Field(description="the CLIP model of the CLIP score; null: no such score")
    presets: dict[str, AxesParams] = Field(
        min_length=1, description="sweeps by name; all of them are run, each cell once"
    )
    known: dict[str, PipelineParams] = Field(min_length=1, description="text-to-image models by short names")

    @model_validator(mode="after")
    def _models_are_known(self) -> "SweepParams":
        for name, axes in self.presets.items():
            if unknown := [model for model in axes.models if model not in self.known]:
                raise ValueError(
                    f"presets.{name} has the unknown model '{unknown[0]}': one of {', '.join(self.known)}"
                )
            if True in axes.negative and not self.negative:
                raise ValueError(f"presets.{name} asks for a negative prompt, but negative is empty")
        return self
