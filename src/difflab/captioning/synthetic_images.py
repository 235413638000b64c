"""Synthetic pictures of titles: generated in parts, stored by id, with their titles as captions."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

from difflab.core.base.files import atomic_path, png_bytes, write_csv
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.decoder import decode_image
from difflab.images.generated.reader import GeneratedImages
from difflab.images.preparing.store_writer import Sample, write_store

SEED = 0  # under which the parts hold their pictures


def write_synthetic(folder: str | Path, titles: dict[str, str], parts: Iterable[Path], image_size: int | None) -> None:
    """Write the pictures of all parts as an `ImageStore` with captions.parquet and the readable synthetic_captions.csv.

    Args:
        titles: by id, ascending; the caption of each picture.
        parts: archives of generated images under `SEED`, together the pictures of all ids in their order.
        image_size: the longer side of the stored pictures in pixels; None keeps them.
    """
    files = [f"{id}.png" for id in titles]
    table = pd.DataFrame({"file": files, "split": "train"}, index=pd.Index(list(titles), name="id"))
    with atomic_path(folder) as temporary:
        index = write_store(temporary, _samples(parts, image_size), table, keep_absent=False)
        captions = [" ".join(title.split()) for title in titles.values()]
        columns = {"id": list(titles), "variant": "synthetic", "caption": captions, "source_sha256": index["sha256"]}
        write_captions(temporary / "captions.parquet", pd.DataFrame(columns))
        named = [json.dumps([title], ensure_ascii=False) for title in titles.values()]
        write_csv(temporary / "synthetic_captions.csv", pd.DataFrame({"Image_Name": files, "Title": named}))


def _samples(parts: Iterable[Path], image_size: int | None) -> Iterator[Sample]:
    for part in parts:
        generated = GeneratedImages(part)
        ids = generated.ids(SEED)
        for id, content in zip(ids, generated.read_bytes(SEED, ids), strict=True):
            picture = decode_image(content, f"{part}: {id}")
            if image_size is not None and max(picture.size) != image_size:
                factor = image_size / max(picture.size)
                width, height = (max(1, round(length * factor)) for length in picture.size)
                picture = picture.resize((width, height), Image.Resampling.LANCZOS)
                content = png_bytes(picture)
            yield Sample(id, f"{id}.png", content, *picture.size)
