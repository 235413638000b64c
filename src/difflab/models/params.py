"""Groups of models: where a pretrained one comes from, how a text-to-image or a language model is used."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group

SchedulerName = Literal["own", "ddpm", "ddim", "euler", "dpm++", "flow-match"]


class HubRef(Group):
    """A model on the Hugging Face Hub at a pinned revision."""

    repo_id: str = Field(min_length=1, description="organisation/name, or a local folder in the same layout")
    revision: str | None = Field(
        description="commit hash; null where none is known: the zoo stage asks the Hub and records the answer"
    )
    subfolder: str | None = Field(description="the part of the repository that is this role's folder")
    allow_patterns: list[str] | None = Field(
        description="shell patterns of the files to download; null takes the subfolder, else everything"
    )


class GenerationParams(Group):
    """How a language model writes: greedily, or by sampling keyed by sample id."""

    batch_size: int = Field(ge=1, description="captions written together; changes nothing but speed")
    max_new_tokens: int = Field(ge=1, description="longest answer, in tokens")
    do_sample: bool = Field(
        description="false: greedy; true: temperature and top_p, keyed by the seed and the id"
    )
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1, description="keep the most likely tokens up to this mass; 1 keeps all")


class PipelineParams(Group):
    """A text-to-image model and how it is used where nothing else is said."""

    hub: HubRef | None = Field(description="null: the one that the pipeline trains, models/zoo/diffusion")
    distilled: bool = Field(description="made for few steps without guidance and negative prompt")
    scheduler: SchedulerName
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=1, description="1: none")
