"""Groups of the two caches: latents of the images, embeddings of the captions."""

from pydantic import Field

from difflab.core.params.base import Group
from difflab.core.params.common import Dtype


class PromptCacheParams(Group):
    """`cache.prompts`: embeddings of every caption, kept per encoder."""

    max_sequence_length: int = Field(ge=8, le=512)
    dtype: Dtype
    batch_size: int = Field(ge=1)
    shard_size: int = Field(ge=1)


class LatentCacheParams(Group):
    """`cache.latents`: moments of the images under the autoencoder."""

    image_size: int = Field(ge=8, multiple_of=8)
    mirror: bool
    dtype: Dtype
    batch_size: int = Field(ge=1)
    shard_size: int = Field(ge=1)


class CacheParams(Group):
    """`cache`."""

    prompts: PromptCacheParams
    latents: LatentCacheParams
