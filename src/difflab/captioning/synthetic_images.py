"""Synthetic pictures of titles: generated in parts, stored by id, with their titles as captions."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from difflab.core.base.files import atomic_path, png_bytes, write_csv
from difflab.images.generated_reader import GeneratedImages
from difflab.images.generated_writer import write_generated
from difflab.images.store.captions import write_captions
from difflab.images.store.decoder import decode_image
from difflab.images.store_writer import Sample, write_store

if TYPE_CHECKING:
    from difflab.models.pipelines.prompted import Options, PromptedSampler

VARIANT = "synthetic"
SEED = 0  # under which the parts hold their pictures
EXPORT = "synthetic_captions.csv"


def write_part(
    path: Path, sampler: "PromptedSampler", prompts: dict[str, str], ids: Sequence[str], options: "Options"
) -> None:
    """Generate the pictures of some ids for their prompts and write them as an archive of generated images."""
    batches = sampler.images(ids, [prompts[id] for id in ids], options)
    write_generated(path, ids, {SEED: (image for batch in batches for image in batch)})


def write_synthetic(folder: str | Path, titles: dict[str, str], parts: Iterable[Path], image_size: int | None) -> None:
    """Write the pictures of all parts as an `ImageStore` with captions.parquet and the readable `EXPORT`.

    Args:
        titles: by id, ascending; the caption of each picture.
        parts: zips of `write_part`, together the pictures of all ids in their order.
        image_size: the longer side of the stored pictures in pixels; None keeps them as they are.
    """
    table = pd.DataFrame(
        {"file": [f"{id}.png" for id in titles], "split": "train"}, index=pd.Index(list(titles), name="id")
    )
    with atomic_path(folder) as temporary:
        index = write_store(temporary, _samples(parts, image_size), table, keep_absent=False)
        values = zip(titles.items(), index["sha256"], strict=True)
        rows = [(id, VARIANT, " ".join(title.split()), sha256) for (id, title), sha256 in values]
        captions = pd.DataFrame(rows, columns=["id", "variant", "caption", "source_sha256"])
        write_captions(temporary / "captions.parquet", captions)
        named = [(f"{id}.png", json.dumps([title], ensure_ascii=False)) for id, title in titles.items()]
        write_csv(temporary / EXPORT, pd.DataFrame(named, columns=["Image_Name", "Title"]))


def _samples(parts: Iterable[Path], image_size: int | None) -> Iterator[Sample]:
    for part in parts:
        generated = GeneratedImages(part)
        ids = generated.ids(SEED)
        for id, content in zip(ids, generated.read_bytes(SEED, ids), strict=True):
            picture = decode_image(content, f"{part}: {id}")
            if image_size is not None and max(picture.size) != image_size:
                picture = resized(picture, image_size)
                content = png_bytes(picture)
            yield Sample(id, f"{id}.png", content, *picture.size)


def resized(picture: Image.Image, side: int) -> Image.Image:
    """A picture whose longer side has `side` pixels, antialiased."""
    factor = side / max(picture.size)
    width, height = (max(1, round(length * factor)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
