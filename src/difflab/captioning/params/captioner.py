"""Groups of the captioner that is trained, of how it writes, and of the instruction model beside it."""

from pydantic import Field

from difflab.core.params.base import Distinct, Group
from difflab.training.params import FitParams


class CaptionerLoraParams(Group):
    """A LoRA adapter of the captioner's language model."""

    rank: int = Field(ge=1, le=1024)
    alpha: float = Field(gt=0, description="the update is scaled by alpha / rank")
    dropout: float = Field(ge=0, lt=1, description="of the adapters' inputs, in training")
    targets: Distinct[str] = Field(min_length=1, description="names of linear layers, such as q_proj")


class DecodingParams(Group):
    """How the captioner writes: the most likely tokens, without randomness."""

    batch_size: int = Field(ge=1, description="captions written together; changes nothing but speed")
    max_new_tokens: int = Field(ge=1, description="longest caption, in tokens")
    num_beams: int = Field(ge=1, description="1: greedy; more: beam search")


class CaptionerParams(Group):
    """`captioner`: a frozen ViT, a projector and a language model with LoRA."""

    patch_pooling: int = Field(
        ge=1, description="patches along each side of the square that one visual token is the mean of"
    )
    visual_dropout: float = Field(
        ge=0, lt=1, description="of the ViT's features before the projector, in training"
    )
    lora: CaptionerLoraParams
    training: FitParams
    decoding: DecodingParams


class CaptionerInstructParams(Group):
    """`captioner_instruct`: how an instruction model is asked for captions; it takes the most likely tokens."""

    instruction: str = Field(min_length=1, description="what stands beside the picture in the chat")
    batch_size: int = Field(ge=1, description="captions written together; changes nothing but speed")
    max_new_tokens: int = Field(ge=1, description="longest answer, in tokens")
