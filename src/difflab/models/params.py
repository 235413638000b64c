"""Where a pretrained model comes from."""

from pydantic import Field

from difflab.core.params.base import Group


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
