"""Group of the title variations."""

from pydantic import Field, model_validator

from difflab.models.params import GenerationParams


class TitlesParams(GenerationParams):
    """`titles`: three variations of every title by a chat model."""

    retries: int = Field(ge=0)
    max_length: int = Field(ge=1)

    @model_validator(mode="after")
    def _a_retry_differs(self) -> "TitlesParams":
        if self.retries and not self.do_sample:
            raise ValueError("retries repeat a greedy answer: set do_sample=true or retries=0")
        return self
