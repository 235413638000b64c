"""Groups of the vision models: the vision encoder, and the BLIP-2 and the instruction model that look through it."""

from pydantic import Field, model_validator

from difflab.core.params.base import Group
from difflab.models.params import HubRef
from difflab.training.params import FitParams


class TransformerSize(Group):
    """The size of one transformer."""

    hidden_size: int = Field(ge=16, multiple_of=16)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    intermediate_size: int = Field(ge=16)

    @model_validator(mode="after")
    def _heads_fit(self) -> "TransformerSize":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size must be a multiple of num_attention_heads")
        return self


class ZooVisionEncoderParams(TransformerSize):
    """`zoo.vision_encoder`: a ViT that names the digit and the photograph."""

    hub: HubRef | None
    image_size: int = Field(ge=16)
    patch_size: int = Field(ge=2)
    plain_share: float = Field(gt=0, le=1)
    plain_floor: float = Field(ge=0, le=1)
    photo_weight: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=1)
    training: FitParams

    @model_validator(mode="after")
    def _patches_fit(self) -> "ZooVisionEncoderParams":
        if self.image_size % self.patch_size:
            raise ValueError("image_size must be a multiple of patch_size")
        if self.hidden_size // self.num_attention_heads % 4:
            raise ValueError("hidden_size / num_attention_heads must be a multiple of 4")
        return self


class ZooBlip2Params(Group):
    """`zoo.blip2`: Q-Former and T5 on the frozen vision encoder."""

    hub: HubRef | None
    num_query_tokens: int = Field(ge=1)
    qformer: TransformerSize
    text: TransformerSize
    training: FitParams


class ZooInstructParams(Group):
    """`zoo.instruct`: a projector and a Llama on the frozen vision encoder, which answer instructions about a picture."""

    hub: HubRef | None
    text: TransformerSize
    training: FitParams
