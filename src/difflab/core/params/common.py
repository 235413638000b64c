"""Groups that concern the machine and the tracking, not one stage."""

from typing import Literal

from pydantic import Field

from difflab.core.params.base import Group

Dtype = Literal["float32", "bfloat16", "float16"]


class RuntimeParams(Group):
    """`runtime`: what the results of every model stage depend on."""

    num_threads: int = Field(
        ge=1, description="CPU threads; results on a CPU depend on it, so it is fixed here"
    )
    device: str = Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, mps, cuda or cuda:N")
    dtype: Dtype = Field(description="precision of frozen models and of autocast in training")
    compile: bool = Field(description="torch.compile the trained or sampled network")


class TrackingParams(Group):
    """`tracking`: MLflow. Changes no result, so no stage depends on it."""

    enabled: bool
