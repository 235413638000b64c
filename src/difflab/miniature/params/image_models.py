"""Groups of the image models: the autoencoder, the diffusion transformer and the small Stable Diffusion."""

from pydantic import Field, model_validator

from difflab.core.params.base import Group
from difflab.miniature.params.text_models import EncoderParams
from difflab.models.params import HubRef
from difflab.training.params import DensityParams, FitParams, FlowTrainingParams


class ZooVaeParams(Group):
    """`zoo.vae`: a small AutoencoderKL, trained on digits over photographs and on plain digits."""

    hub: HubRef | None
    latent_channels: int = Field(ge=1)
    block_out_channels: list[int] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1)
    kl_weight: float = Field(ge=0)
    plain_fraction: float = Field(ge=0, le=1)
    training: FitParams

    @model_validator(mode="after")
    def _groups_divide(self) -> "ZooVaeParams":
        if odd := [width for width in self.block_out_channels if width % self.norm_num_groups]:
            raise ValueError(f"norm_num_groups {self.norm_num_groups} does not divide the width {odd[0]}")
        return self


class ZooTransformerParams(Group):
    """`zoo.transformer`: a small SD3Transformer2DModel, trained by rectified flow on plain digits."""

    hub: HubRef | None
    patch_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    attention_head_dim: int = Field(ge=8, multiple_of=2)
    num_images: int = Field(ge=2)
    photo_fraction: float = Field(ge=0, le=1)
    num_held_out: int = Field(ge=1)
    max_sequence_length: int = Field(ge=8)
    training: FlowTrainingParams
    density: DensityParams
    logit_mean: float


class ZooDiffusionParams(Group):
    """`zoo.diffusion`: a small Stable Diffusion, trained on titled pictures of digits over photographs."""

    hub: HubRef | None
    max_length: int = Field(ge=8, le=77)
    text_encoder: EncoderParams
    block_out_channels: list[int] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    attention_head_dim: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1)
    num_images: int = Field(ge=1)
    num_plain: int = Field(ge=1)
    plain_start: float = Field(ge=0, le=1)
    plain_share: float = Field(gt=0, le=1)
    prompt_dropout: float = Field(ge=0, le=1)
    text_training: FitParams
    training: FitParams

    @model_validator(mode="after")
    def _divide(self) -> "ZooDiffusionParams":
        for name in ("norm_num_groups", "attention_head_dim"):
            if odd := [width for width in self.block_out_channels if width % getattr(self, name)]:
                raise ValueError(f"{name} {getattr(self, name)} does not divide the width {odd[0]}")
        return self
