"""What the miniature's base learns from: plain digits and photographs, each by itself, with captions.

So it knows every word of the study's prompts, and has never seen the two together: that is what fine-tuning adds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.core.base import rng
from difflab.images.store.tensors import to_tensor
from difflab.miniature.pictures import blend
from difflab.miniature.words import templates

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SIZE = 32
VARIANTS = ("short", "detailed")
HELD_OUT_EVERY = 16  # of the training digits, every sixteenth serves the held-out loss only


@dataclass(frozen=True)
class Pictures:
    """Plain digits, each over one colour, then photographs without a digit.

    Attributes:
        ids: "digit-training-00000", ..., "photo-training-00000", ...
        images: float32 [n, 3, 32, 32] in [-1, 1].
        captions: one list of n captions for each of `VARIANTS`.
        labels: the digit in each image, -1 in a photograph; int64 [n].
    """

    ids: list[str]
    images: "Tensor"
    captions: dict[str, list[str]]
    labels: np.ndarray

    def caption_table(self) -> pd.DataFrame:
        """All captions as rows of `captions.table`."""
        rows = [
            {"id": id, "variant": variant, "caption": caption, "source_sha256": ""}
            for variant, captions in self.captions.items()
            for id, caption in zip(self.ids, captions, strict=True)
        ]
        return pd.DataFrame(rows)


def draw(digits: np.ndarray, count: int, photo_fraction: float, seed: int, purpose: str) -> Pictures:
    """Draw `count` pictures, keyed by seed and purpose.

    Args:
        digits: rows of `sources.digits()`.
        photo_fraction: share of photographs among the pictures, the rest are plain digits.
        purpose: part of the ids too.
    """
    key, photos = f"zoo transformer {purpose}", round(photo_fraction * count)
    chosen = rng.numpy_rng(seed, key, "digits").choice(digits, count - photos)
    plain = blend.batch(chosen, seed, key, 0, IMAGE_SIZE, with_photos=False)
    bare = blend.bare_photos(photos, seed, key, IMAGE_SIZE)
    of_digit = {"short": templates.short_caption, "detailed": templates.detailed_caption}
    of_photo = {"short": templates.short_photo_caption, "detailed": templates.detailed_photo_caption}
    return Pictures(
        ids=[
            f"{kind}-{purpose}-{n:05d}"
            for kind, rows in (("digit", plain), ("photo", bare))
            for n in range(len(rows.images))
        ],
        images=to_tensor(np.concatenate([plain.images, bare.images]), IMAGE_SIZE),
        captions={
            v: [of_digit[v](p.attributes) for p in plain.composites]
            + [of_photo[v](p.attributes) for p in bare.composites]
            for v in VARIANTS
        },
        labels=np.concatenate([plain.digits, bare.digits]),
    )
