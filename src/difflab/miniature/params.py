"""Groups of the small models of the miniature, and what each stage that makes one reads of params.yaml."""

from typing import Annotated

from pydantic import Field, model_validator

from difflab.core.params.base import Family, Group, Width
from difflab.core.params.common import HubRef, Seeded, WithRuntime
from difflab.images.params import SplitParams
from difflab.models.params import AutoencoderParams, Rulers
from difflab.training.params import DensityParams, FitParams, FlowTrainingParams


class _Role(Group):
    """A role: trained by the pipeline where `hub` is null."""

    hub: HubRef | None
    training: FitParams


class EncoderParams(Group):
    """The size of one text encoder."""

    hidden_size: int = Field(ge=8, multiple_of=8)
    num_hidden_layers: int = Field(ge=2)


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


class ZooVisionEncoderParams(_Role, TransformerSize):
    """`zoo.vision_encoder`: a ViT that names the digit and the photograph."""

    image_size: int = Field(ge=16, le=1024)
    patch_size: int = Field(ge=2)
    plain_share: float = Field(gt=0, le=1)
    plain_floor: float = Field(ge=0, le=1)
    photo_weight: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _patches_fit(self) -> "ZooVisionEncoderParams":
        if self.image_size % self.patch_size:
            raise ValueError("image_size must be a multiple of patch_size")
        if self.hidden_size // self.num_attention_heads % 4:
            raise ValueError("hidden_size / num_attention_heads must be a multiple of 4")
        return self


class ZooVaeParams(_Role, AutoencoderParams):
    """`zoo.vae`: a small AutoencoderKL, trained on digits over photographs and on plain digits."""

    plain_fraction: float = Field(ge=0, le=1)


class ZooTextParams(_Role):
    """`zoo.text`: CLIP-L-like and CLIP-G-like encoders, trained beside the vision encoder, and a drawn T5-like one."""

    max_length: int = Field(ge=8, le=77)
    text_encoder: EncoderParams
    text_encoder_2: EncoderParams
    text_encoder_3: EncoderParams
    num_images: int = Field(ge=1)
    num_held_out: int = Field(ge=1)


class ZooBlip2Params(_Role):
    """`zoo.blip2`: Q-Former and T5 on the frozen vision encoder."""

    num_query_tokens: int = Field(ge=1)
    qformer: TransformerSize
    text: TransformerSize


class _LanguageModelParams(_Role):
    num_hidden_layers: int = Field(ge=1)
    evaluated: int = Field(ge=1)


class ZooLlamaParams(_LanguageModelParams):
    """`zoo.llama`: a causal language model that makes one detailed sentence of a short caption and facts."""

    hidden_size: int = Field(ge=32, multiple_of=32)
    wrong_caption: float = Field(ge=0, le=1)


class ZooGemmaParams(_LanguageModelParams):
    """`zoo.gemma`: a chat model that gives three variations of a title."""

    hidden_size: int = Field(ge=32, multiple_of=16)


class ZooLanguageParams(_LanguageModelParams):
    """`zoo.language`: a causal language model, the captioner's decoder."""

    hidden_size: int = Field(ge=32, multiple_of=32)
    titles: int = Field(ge=1, le=12)


class ZooInstructParams(_Role):
    """`zoo.instruct`: a projector and a Llama on the frozen vision encoder, which answer instructions about a picture."""

    text: TransformerSize


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
    max_sequence_length: int = Field(ge=8, le=512)
    training: FlowTrainingParams
    density: DensityParams
    logit_mean: float = Field(ge=-10, le=10)


class ZooDiffusionParams(_Role):
    """`zoo.diffusion`: a small Stable Diffusion, trained on titled pictures of digits over photographs."""

    max_length: int = Field(ge=8, le=77)
    text_encoder: EncoderParams
    block_out_channels: list[Width] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    attention_head_dim: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1)
    num_images: int = Field(ge=1)
    num_plain: int = Field(ge=1)
    plain_start: float = Field(ge=0, le=1)
    plain_share: float = Field(gt=0, le=1)
    prompt_dropout: float = Field(ge=0, le=1)
    text_training: FitParams

    @model_validator(mode="after")
    def _divide(self) -> "ZooDiffusionParams":
        for name in ("norm_num_groups", "attention_head_dim"):
            if odd := [width for width in self.block_out_channels if width % self[name]]:
                raise ValueError(f"{name} {self[name]} does not divide the width {odd[0]}")
        return self


class MiniatureZoo(Family):
    """The roles of `zoo` that the miniature trains; anything but `hub: null` points to a released model."""

    rulers: Rulers

    vision_encoder: ZooVisionEncoderParams
    vae: ZooVaeParams
    text: ZooTextParams
    blip2: ZooBlip2Params
    llama: ZooLlamaParams
    gemma: ZooGemmaParams
    language: ZooLanguageParams
    instruct: ZooInstructParams
    transformer: ZooTransformerParams
    diffusion: ZooDiffusionParams


class _WithSplit(Seeded, WithRuntime):
    split: SplitParams


class ZooVisionEncoderInputs(WithRuntime):
    split: SplitParams
    zoo: Annotated[MiniatureZoo, "rulers", "vision_encoder"]


class ZooVaeInputs(_WithSplit):
    zoo: Annotated[MiniatureZoo, "vae"]


class ZooTextInputs(_WithSplit):
    zoo: Annotated[MiniatureZoo, "text"]


class ZooBlip2Inputs(_WithSplit):
    zoo: Annotated[MiniatureZoo, "blip2"]


class ZooLlamaInputs(Seeded, WithRuntime):
    zoo: Annotated[MiniatureZoo, "llama"]


class ZooGemmaInputs(Seeded, WithRuntime):
    zoo: Annotated[MiniatureZoo, "gemma"]


class ZooLanguageInputs(Seeded, WithRuntime):
    zoo: Annotated[MiniatureZoo, "language"]


class ZooInstructInputs(_WithSplit):
    zoo: Annotated[MiniatureZoo, "instruct"]


class ZooTransformerInputs(_WithSplit):
    zoo: Annotated[MiniatureZoo, "transformer"]


class ZooDiffusionInputs(Seeded, WithRuntime):
    zoo: Annotated[MiniatureZoo, "diffusion"]
