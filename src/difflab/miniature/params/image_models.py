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
    block_out_channels: list[int] = Field(min_length=1, description="width at full size, at half size, ...")
    layers_per_block: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1, description="groups of each GroupNorm; must divide every width")
    kl_weight: float = Field(ge=0, description="weight of the KL divergence per latent number")
    plain_fraction: float = Field(ge=0, le=1, description="share of plain digits in a batch")
    training: FitParams

    @model_validator(mode="after")
    def _groups_divide(self) -> "ZooVaeParams":
        if odd := [width for width in self.block_out_channels if width % self.norm_num_groups]:
            raise ValueError(f"norm_num_groups {self.norm_num_groups} does not divide the width {odd[0]}")
        return self


class ZooTransformerParams(Group):
    """`zoo.transformer`: a small SD3Transformer2DModel, trained by rectified flow on plain digits."""

    hub: HubRef | None
    patch_size: int = Field(ge=1, description="side in latent pixels of the patch behind one token")
    num_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    attention_head_dim: int = Field(ge=8, multiple_of=2)
    num_images: int = Field(ge=2, description="pictures drawn for training, each with two captions")
    photo_fraction: float = Field(
        ge=0, le=1, description="share of photographs among them; the rest are plain digits"
    )
    num_held_out: int = Field(ge=1, description="pictures of the held-out loss")
    max_sequence_length: int = Field(ge=8, description="tokens of the T5 encoder in training")
    training: FlowTrainingParams
    density: DensityParams
    logit_mean: float = Field(description="mean of the logit-normal density")


class ZooDiffusionParams(Group):
    """`zoo.diffusion`: a small Stable Diffusion, trained on titled pictures of digits over photographs."""

    hub: HubRef | None
    max_length: int = Field(ge=8, le=77, description="tokens of a prompt, start and end included")
    text_encoder: EncoderParams
    block_out_channels: list[int] = Field(
        min_length=1, description="width at the latents' size, at half, ..."
    )
    layers_per_block: int = Field(ge=1)
    attention_head_dim: int = Field(ge=1, description="channels of a head; must divide every width")
    norm_num_groups: int = Field(ge=1, description="groups of each GroupNorm; must divide every width")
    num_images: int = Field(
        ge=1, description="digits over photographs, drawn for training, each with all its titles"
    )
    num_plain: int = Field(ge=1, description="plain digits drawn for training")
    plain_start: float = Field(ge=0, le=1, description="share of plain digits in the first batches")
    plain_share: float = Field(
        gt=0, le=1, description="share of the training in which plain digits give way to composites"
    )
    prompt_dropout: float = Field(ge=0, le=1, description="share of samples trained with the empty prompt")
    text_training: FitParams
    training: FitParams

    @model_validator(mode="after")
    def _divide(self) -> "ZooDiffusionParams":
        for name in ("norm_num_groups", "attention_head_dim"):
            if odd := [width for width in self.block_out_channels if width % getattr(self, name)]:
                raise ValueError(f"{name} {getattr(self, name)} does not divide the width {odd[0]}")
        return self
