"""Groups of the scoring and reporting stages."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Group

Split = Literal["train", "val", "test"]


class ScoreParams(Group):
    """`score`: how generated images are compared with real ones."""

    extractor: Literal["vision_encoder", "inception"] = Field(description="feature network of FID and KID")
    reference_split: Split = Field(description="real images that the generated ones are compared with")
    floor_split: Split = Field(description="real images whose own distance to the reference is the floor")
    min_images: int = Field(ge=2, description="fewer images per seed and cell than this are refused")
    batch_size: int = Field(ge=1, description="images per forward pass of the extractor")
    kid_subsets: int = Field(ge=1, description="subsets of KID, used where a set is larger than one subset")
    kid_subset_size: int = Field(ge=2, description="images per subset of KID")

    @model_validator(mode="after")
    def _floor_is_another_set(self) -> "ScoreParams":
        if self.floor_split == self.reference_split:
            raise ValueError(
                "floor_split and reference_split must differ: a set's distance to itself is zero"
            )
        return self


class CaptionScoreParams(Group):
    """`caption_score`: how captioners are compared."""

    resamples: int = Field(
        ge=100, le=1_000_000, description="draws of seeds and images behind each 95 % interval"
    )


class ReportParams(Group):
    """`report`: what the report says about itself."""

    comparable: bool = Field(
        description="whether the settings are the published ones, so that values compare"
    )
