"""Groups of the denoisers."""

from pydantic import Field

from difflab.core.params.base import Group
from difflab.ddpm.params.networks import ImageTrainingParams, ObjectiveParams, ScheduleParams, UNetParams


class DenoiseParams(Group):
    """`denoise`: three denoisers of reference 001 at one strength of noise."""

    image_size: int = Field(ge=8, description="side of the images in pixels")
    sigma: float = Field(gt=0, lt=1, description="standard deviation of the noise on images in [0, 1]")
    clipped: bool = Field(description="v0 and v1 train on noisy images cut to [0, 1]")
    unet: UNetParams
    training: ImageTrainingParams = Field(description="of v1 and v2")
    v0_steps: int = Field(ge=1, description="steps of v0, which stops early")
    schedule: ScheduleParams = Field(description="of v2, the diffusion model")
    objective: ObjectiveParams = Field(description="of v2")
    validation_images: int = Field(ge=1, description="test images in the curve")


class DenoiseScoreParams(Group):
    """`denoise_score`."""

    self_ensemble: bool = Field(
        description="networks restore the image and its mirror image, and the mean counts"
    )
