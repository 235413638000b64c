"""Groups of the text models: the three encoders of the base and the Llama that rewrites captions."""

from pydantic import Field

from difflab.core.params.base import Group
from difflab.models.params import HubRef
from difflab.training.params import FitParams


class EncoderParams(Group):
    """The size of one text encoder."""

    hidden_size: int = Field(
        ge=8, multiple_of=8, description="width; for the CLIP-like ones also of the pooled vector"
    )
    num_hidden_layers: int = Field(ge=2)


class ZooTextParams(Group):
    """`zoo.text`: CLIP-L-like and CLIP-G-like encoders, trained beside the vision encoder, and a drawn T5-like one."""

    hub: HubRef | None
    max_length: int = Field(ge=8, le=77, description="tokens of the CLIP-like encoders, with start and end")
    text_encoder: EncoderParams
    text_encoder_2: EncoderParams
    text_encoder_3: EncoderParams
    num_images: int = Field(ge=1, description="captioned pictures that the CLIP-like encoders learn from")
    num_held_out: int = Field(ge=1, description="pictures of held-out digits in the metrics")
    training: FitParams


class ZooLlamaParams(Group):
    """`zoo.llama`: a causal language model that makes one detailed sentence of a short caption and facts."""

    hub: HubRef | None
    hidden_size: int = Field(ge=32, multiple_of=32)
    num_hidden_layers: int = Field(ge=1)
    wrong_caption: float = Field(ge=0, le=1, description="share of examples whose short caption is wrong")
    training: FitParams
    evaluated: int = Field(ge=1, description="held-out attribute combinations in the metrics")


class ZooGemmaParams(Group):
    """`zoo.gemma`: a chat model that gives three variations of a title."""

    hub: HubRef | None
    hidden_size: int = Field(ge=32, multiple_of=16)
    num_hidden_layers: int = Field(ge=1, description="the last one sees everything, the others a window")
    training: FitParams
    evaluated: int = Field(ge=1, description="titles of held-out pictures in the metrics")


class ZooLanguageParams(Group):
    """`zoo.language`: a causal language model that the captioner speaks with."""

    hub: HubRef | None
    hidden_size: int = Field(ge=32, multiple_of=32)
    num_hidden_layers: int = Field(ge=1)
    titles: int = Field(ge=1, le=12, description="titles of one picture in a document, after its keywords")
    training: FitParams
    evaluated: int = Field(ge=1, description="lines of keywords in the metrics")
