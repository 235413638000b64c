"""Groups of the denoisers."""

from pydantic import Field

from difflab.core.params.base import Group
from difflab.ddpm.params.networks import ImageTrainingParams, ObjectiveParams, ScheduleParams, UNetParams


class DenoiseParams(Group):
    """`denoise`: three denoisers of reference 001 at one strength of noise."""

    image_size: int = Field(ge=8)
    sigma: float = Field(gt=0, lt=1)
    clipped: bool
    unet: UNetParams
    training: ImageTrainingParams
    v0_steps: int = Field(ge=1)
    schedule: ScheduleParams
    objective: ObjectiveParams
    validation_images: int = Field(ge=1)


class DenoiseScoreParams(Group):
    """`denoise_score`."""

    self_ensemble: bool
