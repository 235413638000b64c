"""Synthetic pictures of titles: read the titles, keep the pictures by id, with their titles as captions."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, png_bytes, read_parquet, write_csv
from difflab.images.captions import write_captions
from difflab.images.generated_reader import GeneratedImages
from difflab.images.generated_writer import write_generated
from difflab.images.store.decoder import decode_image
from difflab.images.store_writer import Sample, write_store

if TYPE_CHECKING:
    from difflab.models.pipelines.prompted import Options, PromptedSampler

VARIANT = "synthetic"
SEED = 0  # under which the parts hold their pictures
EXPORT = "synthetic_captions.csv"
_COLUMNS = ("id", "number", "title")


def read_variations(path: str | Path) -> dict[str, str]:
    """Titles by variation id `<id>-v<number>`, in the order of ids, from a table id, number, title.

    Raises:
        DifflabError: the table is missing or empty, lacks a column, has a variation twice, or a title is no text.
    """
    if not Path(path).exists():
        raise DifflabError(f"{path} is missing: run `dvc repro vary_titles` (or `dvc pull`) to make it")
    frame = read_parquet(path)
    if missing := [name for name in _COLUMNS if name not in frame.columns]:
        raise DifflabError(f"{path} lacks the column {missing[0]}: variations have {', '.join(_COLUMNS)}")
    if frame.empty:
        raise DifflabError(
            f"{path} has no variation: data/titles/quarantine.csv says why each title is without"
        )
    bad = [n for n, title in enumerate(frame["title"]) if not isinstance(title, str) or not title.strip()]
    if bad:
        rows = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        raise DifflabError(
            f"{path} has {len(bad)} rows without a title (rows {rows}): run `dvc repro -f vary_titles`"
        )
    ids = [f"{row.id}-v{row.number}" for row in frame.itertuples()]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise DifflabError(f"{path} has the variation {twice} twice: run `dvc repro -f vary_titles`")
    return dict(sorted(zip(ids, frame["title"], strict=True)))


def first_variations(titles: dict[str, str], count: int) -> dict[str, str]:
    """At most `count` of the variations: one of each title, in the order of ids, before the second of any."""
    ids = sorted(titles, key=lambda id: (int(id.rpartition("-v")[2]), id))[:count]
    return {id: titles[id] for id in ids}


def write_part(
    path: Path, sampler: "PromptedSampler", prompts: dict[str, str], ids: Sequence[str], options: "Options"
) -> None:
    """Generate the pictures of some ids for their prompts and write them as an archive of generated images."""
    batches = sampler.images(ids, [prompts[id] for id in ids], options)
    write_generated(path, ids, {SEED: (image for batch in batches for image in batch)})


def write_synthetic(
    folder: str | Path, titles: dict[str, str], parts: Iterable[Path], image_size: int | None
) -> None:
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
    size = tuple(max(1, round(length * factor)) for length in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS)
