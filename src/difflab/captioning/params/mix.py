"""Group of the stage that mixes originals with synthetic pictures."""

from pydantic import Field, model_validator

from difflab.core.params.base import Group


class MixParams(Group):
    """`mix`: which pictures count as the same, and how groups are split."""

    val_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    max_hamming_distance: int = Field(ge=0, le=64)
    min_correlation: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _groups_are_left_to_train_on(self) -> "MixParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction together must stay below 1")
        return self
