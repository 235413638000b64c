"""A mixed data set of seven pictures of one colour each."""

import numpy as np
import pandas as pd
from PIL import Image

from difflab.core.base.files import png_bytes, write_parquet
from difflab.images.preparing.store_writer import Sample, write_store

ORIGINALS = {"a": 10, "b": 20, "c": 30, "d": 40}  # brightness of the picture
SYNTHETIC = {"a-v0": 50, "a-v1": 60, "c-v0": 70}
SPLITS = {"a": "train", "b": "test", "c": "val", "d": "train", "a-v0": "train", "a-v1": "train", "c-v0": "val"}


def content(level: int) -> bytes:
    return png_bytes(Image.fromarray(np.full((4, 4, 3), level, np.uint8)))


def write_mixed(root, splits=SPLITS):
    for folder, pictures in (("images/recipes", ORIGINALS), ("synthetic", SYNTHETIC)):
        samples = [Sample(id, f"{id}.png", content(level), 4, 4) for id, level in pictures.items()]
        index = pd.Index(list(pictures), name="id")
        table = pd.DataFrame({"file": [f"{id}.png" for id in pictures], "split": "train"}, index=index)
        write_store(root / folder, samples, table, keep_absent=False)
    rows = [
        (id, "synthetic" if "-v" in id else "original", id[0], split, [f"Title of {id}"])
        for id, split in splits.items()
    ]
    frame = pd.DataFrame(rows, columns=["id", "source", "group", "split", "titles"])
    write_parquet(root / "mixed" / "rows.parquet", frame)
    return root
