"""Groups of the two caches: latents of the images, embeddings of the captions."""

from pydantic import Field

from difflab.core.params.base import Group
from difflab.core.params.common import Dtype


class PromptCacheParams(Group):
    """`cache.prompts`: embeddings of every caption, kept per encoder."""

    max_sequence_length: int = Field(
        ge=8, le=512, description="tokens of the T5 encoder; CLIP's are its tokenizer's"
    )
    dtype: Dtype = Field(description="precision of the stored embeddings")
    batch_size: int = Field(ge=1, description="captions in one pass of the encoders")
    shard_size: int = Field(ge=1, description="captions in one file")


class LatentCacheParams(Group):
    """`cache.latents`: moments of the images under the autoencoder."""

    image_size: int = Field(ge=8, multiple_of=8, description="side of the square images in pixels")
    mirror: bool = Field(
        description="also keep the moments of the mirrored image; off where a mirrored picture shows something else"
    )
    dtype: Dtype = Field(description="precision of the stored means")
    batch_size: int = Field(ge=1, description="images in one pass of the encoder")
    shard_size: int = Field(ge=1, description="images in one file")


class CacheParams(Group):
    """`cache`."""

    prompts: PromptCacheParams
    latents: LatentCacheParams
