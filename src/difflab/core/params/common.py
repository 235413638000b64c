"""Groups that concern the machine, the tracking and where models come from, not one stage."""

from typing import Annotated, Literal

from pydantic import Field

from difflab.core.params.base import Group

Dtype = Literal["float32", "bfloat16", "float16"]
VaeBatch = Literal["whole", "sliced", "tiled"]  # see difflab.core.base.roles.spare_memory


class RuntimeParams(Group):
    """`runtime`: what the results of every model stage depend on."""

    num_threads: int = Field(ge=1, le=1024)
    processes: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    device: str = Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    dtype: Dtype
    compile: bool
    numerics: Literal["pinned", "fast"]


class HardwareParams(Group):
    """`hardware`: the card that `difflab plan` reckons with. Changes no result, so no stage depends on it.

    Peaks are dense and without sparsity, from the vendors' data sheets.
    """

    card: str | None
    memory_gb: float = Field(gt=0)
    bfloat16_tflops: float = Field(gt=0)
    tf32_tflops: float = Field(gt=0)
    float32_tflops: float = Field(gt=0)
    bandwidth_gb_per_s: float = Field(gt=0)
    price_per_hour: float = Field(ge=0)
    training_utilisation: float = Field(gt=0, le=1)
    sampling_utilisation: float = Field(gt=0, le=1)


class TrackingParams(Group):
    """`tracking`: MLflow. Changes no result, so no stage depends on it."""

    enabled: bool


class EnvironmentParams(Group):
    """`environment`: versions of the libraries that can change a result, as `difflab.core.environment` writes them."""

    versions: str
    arrays: str
    models: str


class Seeded:
    """Inputs of a stage that draws random numbers."""

    seed: int


class WithRuntime:
    """Inputs of a stage that runs models."""

    runtime: RuntimeParams


class Mirror(Group):
    """A repository with the files of another one, and why that may be gone."""

    repo_id: str = Field(min_length=1)
    revision: str
    reason: str = Field(min_length=1)


class HubRef(Group):
    """A model on the Hugging Face Hub at a pinned revision.

    Attributes:
        fallback: what is taken where `repo_id` does not exist any more. The one parameter that may be left out: the
            pointer to a model says where it came from, and stages depend on that.
    """

    repo_id: str = Field(min_length=1)
    revision: str | None
    subfolder: str | None
    allow_patterns: list[str] | None
    fallback: Mirror | None = None
