"""What every parameter group has in common."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A parameter group: unknown keys are errors, values are fixed, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
