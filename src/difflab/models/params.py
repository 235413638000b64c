"""Where a pretrained model comes from, and how a text-to-image model is used."""

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


class PipelineParams(Group):
    """A text-to-image model and how it is used where nothing else is said."""

    hub: HubRef | None = Field(description="null: the one that the pipeline trains, models/zoo/diffusion")
    distilled: bool = Field(description="made for few steps without guidance and negative prompt")
    scheduler: SchedulerName
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=1, description="1: none")
