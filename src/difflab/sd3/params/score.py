"""Groups of the scoring and reporting stages."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Group

Split = Literal["train", "val", "test"]


class ScoreParams(Group):
    """`score`: how generated images are compared with real ones."""

    extractor: Literal["vision_encoder", "inception"]
    reference_split: Split
    floor_split: Split
    min_images: int = Field(ge=2)
    batch_size: int = Field(ge=1)
    kid_subsets: int = Field(ge=1)
    kid_subset_size: int = Field(ge=2)

    @model_validator(mode="after")
    def _floor_is_another_set(self) -> "ScoreParams":
        if self.floor_split == self.reference_split:
            raise ValueError("floor_split and reference_split must differ: a set's distance to itself is zero")
        return self
