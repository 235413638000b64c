"""Groups of the captioner that is trained, of how it writes, and of the instruction model beside it."""

from pydantic import Field

from difflab.core.params.base import Distinct, Group
from difflab.training.params import FitParams


class CaptionerLoraParams(Group):
    """A LoRA adapter of the captioner's language model."""

    rank: int = Field(ge=1, le=1024)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    targets: Distinct[str] = Field(min_length=1)


class DecodingParams(Group):
    """How the captioner writes: the most likely tokens, without randomness."""

    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=1)
    num_beams: int = Field(ge=1)


class CaptionerParams(Group):
    """`captioner`: a frozen ViT, a projector and a language model with LoRA."""

    patch_pooling: int = Field(ge=1)
    visual_dropout: float = Field(ge=0, lt=1)
    lora: CaptionerLoraParams
    training: FitParams
    decoding: DecodingParams


class CaptionerInstructParams(Group):
    """`captioner_instruct`: how an instruction model is asked for captions; it takes the most likely tokens."""

    instruction: str = Field(min_length=1)
    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=1)


class CaptionScoreParams(Group):
    """`caption_score`: how captioners are compared."""

    resamples: int = Field(ge=100, le=1_000_000)
