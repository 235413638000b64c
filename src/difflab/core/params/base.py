"""What every parameter group has in common."""

from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator

T = TypeVar("T")


def _distinct(values: list[T]) -> list[T]:
    if twice := [v for v in values if values.count(v) > 1]:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return values


Distinct = Annotated[list[T], AfterValidator(_distinct)]


class Group(BaseModel):
    """A parameter group: unknown keys are errors, values are fixed, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_truth_value_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError("a number is needed")
        return value

    def __getitem__(self, name: str) -> Any:
        """A value by its name, for the stages of a matrix: `params.ddpm[setting]`."""
        return getattr(self, name)
