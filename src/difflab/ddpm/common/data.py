"""What the DDPM study reads of image sets, in memory: pixels, classes, one image many times, latents.

models/zoo/image_vae/vae/                  the autoencoder in `save_pretrained` layout
models/zoo/image_vae/latents.safetensors   `train` and `test`: shifted and scaled posterior means
models/zoo/image_vae/index.parquet         id, split, label
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_parquet, read_tensors
from difflab.core.base.store.tensors import check_finite, to_tensor, to_uint8

if TYPE_CHECKING:
    from difflab.core.base.store.image_store import ImageStore

LATENTS, INDEX = "latents.safetensors", "index.parquet"
_CHUNK = 1000  # images decoded together; changes nothing


@dataclass(frozen=True)
class Split:
    """Some images of a set."""

    ids: list[str]
    pixels: Tensor  # uint8 [N, C, H, W], or float32 latents
    labels: list[str]  # class names, [N]; empty for sets without classes


def pixel_split(store: "ImageStore", split: str, size: int, channels: int) -> Split:
    """The images of a split, with their classes; see `load_pixels`."""
    ids = store.split(split)
    labels = class_names(store, ids) if store.attributes.shape[1] else []
    return Split(ids, load_pixels(store, ids, size, channels), labels)


def latent_split(folder: Path, split: str) -> Split:
    """The latents of a split, as the stage `zoo_image_vae` wrote them."""
    remedy = "run `dvc repro zoo_image_vae`"
    index, latents = read_parquet(folder / INDEX), read_tensors(folder / LATENTS)
    with reading(folder, remedy):
        rows = index[index["split"] == split]
        found = Split(rows["id"].tolist(), latents[split], rows["label"].tolist())
    if found.pixels.ndim != 4 or len(found.pixels) != len(found.ids):
        raise DifflabError(f"{folder}: {INDEX} and {LATENTS} do not belong together: {remedy}")
    check_finite(found.pixels, found.ids, f"{folder / LATENTS}: the latent", remedy)
    return found


def copies(split: Split, row: int, count: int, key: str) -> Split:
    """One image many times, under ids of their own, so that each copy gets its own noise.

    `key` is the parameter that gives `row`, for the error where there is no such image.
    """
    if row >= len(split.ids):
        raise DifflabError(f"{key} is {row}: there are {len(split.ids)} training images, counted from 0")
    return Split([f"copy-{n:04d}" for n in range(count)], split.pixels[row].expand(count, -1, -1, -1), [])


def load_pixels(store: "ImageStore", ids: Sequence[str], size: int, channels: int = 3) -> Tensor:
    """The images of `ids`: centre crop to the largest square, PIL's antialiased bicubic resize.

    Args:
        channels: 3 for RGB, 1 for grey by the luma of ITU-R 601 (0.299 R + 0.587 G + 0.114 B).

    Returns:
        uint8 [len(ids), channels, size, size].
    """
    result = torch.empty(len(ids), channels, size, size, dtype=torch.uint8)
    for start in range(0, len(ids), _CHUNK):
        images = store.read(ids[start : start + _CHUNK])
        if channels == 1:
            images = [image.convert("L") for image in images]
        planes = torch.from_numpy(to_uint8(to_tensor(images, size))).permute(0, 3, 1, 2)
        result[start : start + len(images)] = planes[:, :channels]
    return result


def class_names(store: "ImageStore", ids: Sequence[str]) -> list[str]:
    """The class of each id, the one attribute that is true of it; images without or with several are refused."""
    rows = store.attributes.loc[list(ids)]
    if rows.shape[1] == 0:
        raise DifflabError(f"the images of {store.folder} have no classes: choose another data set")
    if (odd := rows.sum(axis=1) != 1).any():
        raise DifflabError(f"image '{rows.index[odd][0]}' of {store.folder} has not exactly one class")
    return rows.idxmax(axis=1).tolist()
