"""Groups of the text models: the three encoders of the base and the Llama that rewrites captions."""

from pydantic import Field

from difflab.core.params.base import Group
from difflab.models.params import HubRef
from difflab.training.params import FitParams


class EncoderParams(Group):
    """The size of one text encoder."""

    hidden_size: int = Field(ge=8, multiple_of=8)
    num_hidden_layers: int = Field(ge=2)


class ZooTextParams(Group):
    """`zoo.text`: CLIP-L-like and CLIP-G-like encoders, trained beside the vision encoder, and a drawn T5-like one."""

    hub: HubRef | None
    max_length: int = Field(ge=8, le=77)
    text_encoder: EncoderParams
    text_encoder_2: EncoderParams
    text_encoder_3: EncoderParams
    num_images: int = Field(ge=1)
    num_held_out: int = Field(ge=1)
    training: FitParams


class ZooLlamaParams(Group):
    """`zoo.llama`: a causal language model that makes one detailed sentence of a short caption and facts."""

    hub: HubRef | None
    hidden_size: int = Field(ge=32, multiple_of=32)
    num_hidden_layers: int = Field(ge=1)
    wrong_caption: float = Field(ge=0, le=1)
    training: FitParams
    evaluated: int = Field(ge=1)


class ZooGemmaParams(Group):
    """`zoo.gemma`: a chat model that gives three variations of a title."""

    hub: HubRef | None
    hidden_size: int = Field(ge=32, multiple_of=16)
    num_hidden_layers: int = Field(ge=1)
    training: FitParams
    evaluated: int = Field(ge=1)


class ZooLanguageParams(Group):
    """`zoo.language`: a causal language model that the captioner speaks with."""

    hub: HubRef | None
    hidden_size: int = Field(ge=32, multiple_of=32)
    num_hidden_layers: int = Field(ge=1)
    titles: int = Field(ge=1, le=12)
    training: FitParams
    evaluated: int = Field(ge=1)
