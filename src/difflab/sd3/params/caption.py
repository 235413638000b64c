"""Groups of the captioning stages."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Family
from difflab.models.params import GenerationParams


class Blip2CaptionParams(GenerationParams):
    """`caption.blip2`: captions of the images alone, without a prompt."""

    long_caption: int = Field(ge=1)


class Llama3CaptionParams(GenerationParams):
    """`caption.llama3`: the short caption rewritten with the facts."""

    subjective: Literal["keep", "drop"]


class CaptionParams(Family):
    """`caption`: both captioners."""

    blip2: Blip2CaptionParams
    llama3: Llama3CaptionParams
