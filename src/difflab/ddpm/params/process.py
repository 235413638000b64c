"""Groups of the stages that look at the process: what appears first, memorisation, cold diffusion."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group
from difflab.ddpm.params.networks import ImageTrainingParams, UNetParams


class ProcessParams(Group):
    """`process`: what appears first?"""

    num_images: int = Field(ge=2, description="samples whose way is followed")
    num_inference_steps: int = Field(ge=2, description="levels of noise on that way")
    bands: int = Field(ge=2, description="rings of spatial frequency")
    words: list[str] = Field(min_length=1, description="prompts of the cross-attention maps")


class MemorisationParams(Group):
    """`memorisation`: do samples copy training images?"""

    settings: list[
        Literal["single_image_32", "single_image_64", "single_class", "class_conditional", "latent", "text"]
    ]
    pairs: int = Field(ge=1, description="closest pairs on the contact sheet")


class ColdParams(Group):
    """`cold`: deterministic degradations in place of noise."""

    image_size: int = Field(ge=8)
    levels: int = Field(ge=1, description="strengths of the degradation")
    widest_blur: float = Field(gt=0, description="standard deviation of the strongest blur in pixels")
    unet: UNetParams
    training: ImageTrainingParams
    test_images: int = Field(ge=2)
