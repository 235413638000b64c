"""Groups of the generating stages."""

from typing import Literal

from pydantic import Field

from difflab.params.base import Distinct, Group

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
