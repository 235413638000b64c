"""What a setting of the DDPM series trains on: pixels of an image set, one of its images, or its latents.

models/zoo/image_vae/vae/                  the autoencoder in `save_pretrained` layout
models/zoo/image_vae/latents.safetensors   `train` and `test`: shifted and scaled posterior means
models/zoo/image_vae/index.parquet         id, split, label
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet
from difflab.ddpm.data.labels import class_names
from difflab.ddpm.data.pixels import load_pixels

if TYPE_CHECKING:
    from difflab.ddpm.params.series import SettingParams
    from difflab.images.store.image_store import ImageStore

LATENTS, INDEX = "latents.safetensors", "index.parquet"


@dataclass(frozen=True)
class Split:
    """Some images of a set.

    Attributes:
        pixels: uint8 [N, C, H, W], or float32 latents.
        labels: class names, [N]; empty for sets without classes.
    """

    ids: list[str]
    pixels: Tensor
    labels: list[str]


def pixel_split(store: "ImageStore", split: str, params: "SettingParams") -> Split:
    """The images of a split, with their classes."""
    ids = store.split(split)
    labels = class_names(store, ids) if store.attributes.shape[1] else []
    return Split(ids, load_pixels(store, ids, params.image_size, params.channels), labels)


def copies(split: Split, row: int, count: int, key: str) -> Split:
    """One image many times, under ids of their own, so that each copy gets its own noise.

    Args:
        key: the parameter that gives `row`, for the error.

    Raises:
        DifflabError: there is no such image.
    """
    if row >= len(split.ids):
        raise DifflabError(f"{key} is {row}: there are {len(split.ids)} training images, counted from 0")
    return Split([f"copy-{n:04d}" for n in range(count)], split.pixels[row].expand(count, -1, -1, -1), [])


def latent_split(folder: Path, split: str) -> Split:
    """The latents of a split, as `latent_writer` wrote them."""
    index = read_parquet(folder / INDEX)
    rows = index[index["split"] == split]
    return Split(rows["id"].tolist(), load_file(folder / LATENTS)[split], rows["label"].tolist())
