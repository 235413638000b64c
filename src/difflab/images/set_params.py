"""Parameters of the image sets: the side of the prepared images, and what is kept of each set."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group


class ImageSizeParams(Group):
    """`images.image_size`: side of the prepared square images in pixels."""

    cifar10: int = Field(ge=8, le=32)
    mnist: int = Field(ge=8, le=28)
    scenes: int = Field(ge=8)
    coco: int = Field(ge=8)
    recipes: int = Field(ge=8)


class MaxImagesParams(Group):
    """`images.max_images`: the first images of each split only; null: all."""

    cifar10: int | None = Field(ge=1)
    mnist: int | None = Field(ge=1)
    scenes: int | None = Field(ge=1)
    coco: int | None = Field(ge=1)
    recipes: int | None = Field(ge=1)


class ImagesParams(Group):
    """`images`: the sets that models are trained on from nothing."""

    image_size: ImageSizeParams
    max_images: MaxImagesParams
    non_square: Literal["crop", "error"]
    scenes_test_fraction: float = Field(gt=0, lt=1)
