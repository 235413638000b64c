"""What every parameter group has in common."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

T = TypeVar("T")


def _distinct(values: list[T]) -> list[T]:
    if twice := [v for v in values if values.count(v) > 1]:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return values


Distinct = Annotated[list[T], AfterValidator(_distinct)]


class Group(BaseModel):
    """A parameter group: unknown keys are errors, values are fixed, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
