"""Groups of the captioning stages."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group


class GenerationParams(Group):
    """How a language model writes: greedily, or by sampling keyed by sample id."""

    batch_size: int = Field(ge=1, description="captions written together; changes nothing but speed")
    max_new_tokens: int = Field(ge=1, description="longest answer, in tokens")
    do_sample: bool = Field(
        description="false: greedy; true: temperature and top_p, keyed by the seed and the id"
    )
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1, description="keep the most likely tokens up to this mass; 1 keeps all")


class Blip2CaptionParams(GenerationParams):
    """`caption.blip2`: captions of the images alone, without a prompt."""

    long_caption: int = Field(ge=1, description="characters; longer captions are counted, not cut")


class Llama3CaptionParams(GenerationParams):
    """`caption.llama3`: the short caption rewritten with the facts."""

    subjective: Literal["keep", "drop"] = Field(description="facts that are a judgement, such as attractive")


class CaptionParams(Group):
    """`caption`: both captioners."""

    blip2: Blip2CaptionParams
    llama3: Llama3CaptionParams
