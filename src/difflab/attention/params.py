"""Parameter groups of the look inside the transformer, and what its stages read of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from difflab.core.params.base import Group
from difflab.core.params.common import Seeded, WithRuntime
from difflab.images.params import DataParams

Captions = Literal["blip2", "llama3"]


class AttentionMapsParams(Group):
    """`attention_maps`: whether the attention of a word lies where the thing is."""

    captions: Captions
    trained_on: Literal["blip2", "llama3", "both"]
    num_images: int | None = Field(ge=4)
    num_inference_steps: int = Field(ge=1, le=1000)
    batch_size: int = Field(ge=1)
    coverage: float = Field(gt=0, le=1)
    similarity_scale: float = Field(gt=0)
    shown: int = Field(ge=1)


class AttentionMapsInputs(Seeded, WithRuntime):
    class Finetune:
        seeds: list[int]

    class Generate:
        split: Literal["train", "val", "test"]

    class Score:
        real_faces: bool

    data: Annotated[DataParams, "data_root"]
    finetune: Finetune
    generate: Generate
    score: Score
    attention_maps: AttentionMapsParams
