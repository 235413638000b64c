"""Groups of the DDPM series's helpers: the classifiers that judge samples and the autoencoder of the latent setting."""

from pydantic import Field

from difflab.core.params.base import Family, Group
from difflab.training.params import FitParams


class ClassifierParams(Group):
    """`zoo.classifier.<dataset>`: the ResNet-20 that judges generated images."""

    weights: str | None
    flip: bool
    shift: int = Field(ge=0)
    training: FitParams


class ClassifiersParams(Family):
    """`zoo.classifier`."""

    cifar10: ClassifierParams
    mnist: ClassifierParams


class ImageVaeParams(Group):
    """`zoo.image_vae`: the small AutoencoderKL of the latent setting."""

    latent_channels: int = Field(ge=1)
    block_out_channels: list[int] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1)
    kl_weight: float = Field(ge=0)
    training: FitParams
