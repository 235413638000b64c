"""Groups of the generating stages."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Distinct, Group

Split = Literal["train", "val", "test"]


class GenerateParams(Group):
    """`generate`: images for the prompts of a split."""

    split: Split
    num_images: int | None = Field(ge=1)
    seeds: Distinct[int] = Field(min_length=1)
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
    batch_size: int = Field(ge=1)
    grid_images: int = Field(ge=1)


class CurveParams(Group):
    """What both curves are measured on: one cell and a number of images."""

    captions: Literal["blip2", "llama3"]
    logit_mean: Literal["minus", "zero", "plus"]
    num_images: int = Field(ge=2)


class GuidanceCurveParams(CurveParams):
    """`guidance_curve`: Frechet distance and accuracy against the guidance scale."""

    guidance_scales: Distinct[float] = Field(min_length=1)


class StepCurveParams(CurveParams):
    """`step_curve`: the same against the training step, at generate.guidance_scale."""
