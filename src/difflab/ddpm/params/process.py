"""Groups of the stages that look at the process: what appears first, memorisation, cold diffusion."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group
from difflab.ddpm.params.networks import ImageTrainingParams, UNetParams


class ProcessParams(Group):
    """`process`: what appears first?"""

    num_images: int = Field(ge=2)
    num_inference_steps: int = Field(ge=2)
    bands: int = Field(ge=2)
    words: list[str] = Field(min_length=1)


class MemorisationParams(Group):
    """`memorisation`: do samples copy training images?"""

    settings: list[Literal["single_image_32", "single_image_64", "single_class", "class_conditional", "latent", "text"]]
    pairs: int = Field(ge=1)


class ColdParams(Group):
    """`cold`: deterministic degradations in place of noise."""

    image_size: int = Field(ge=8)
    levels: int = Field(ge=1)
    widest_blur: float = Field(gt=0)
    unet: UNetParams
    training: ImageTrainingParams
    test_images: int = Field(ge=2)
