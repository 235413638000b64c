"""CelebA-HQ from the official archive: attributes, split, images."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.split import SPLITS, split_ids
from difflab.images.celeba import annotations
from difflab.images.preparing import samples as preparing

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive
    from difflab.images.params import PrepareParams, SplitParams
    from difflab.images.preparing.store_writer import Sample

ATTRIBUTES = "CelebAMask-HQ-attribute-anno.txt"
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
IMAGES = "CelebA-HQ-img/"


def read_table(archive: "Archive") -> pd.DataFrame:
    """The attribute table: bool DataFrame by id ("hq-00012") with the columns file, then the attributes."""
    return annotations.read_attributes(archive, ATTRIBUTES, "hq-{:05d}")


def read_mapping(archive: "Archive", table: pd.DataFrame) -> dict[int, str]:
    """HQ number -> file name in CelebA, for every row: one left out would come back as an image not in CelebA-HQ."""
    name = archive.locate(MAPPING) + MAPPING
    rows = list(annotations.read_rows(archive, name, width=3, counted=False))[1:]  # idx, orig_idx, orig_file
    mapping = {annotations.whole_number(idx, name, line): file for line, (idx, _, file) in rows}
    numbers = [int(PurePosixPath(file).stem) for file in table["file"]]
    if missing := [number for number in numbers if number not in mapping]:
        raise DifflabError(
            f"{name} has no line for {len(missing)} of {len(numbers)} images, the first is {missing[0]}: "
            "fetch the archive again"
        )
    return mapping


def split_table(table: pd.DataFrame, settings: "SplitParams", data_set: str) -> pd.Series:
    """train, val or test for every row, absent images included, so the split never depends on the files.

    Args:
        data_set: whose strata `settings.stratify` are kept; one without strata is split at random.
    """
    strata = list(getattr(settings.stratify, data_set, ()))
    if missing := [name for name in strata if name not in table]:
        raise DifflabError(
            f"split.stratify.{data_set} names {', '.join(missing)}, which the attribute table does not have; "
            f"it has {', '.join(table.columns[1:])}"
        )
    parts = split_ids(table.index.tolist(), table[strata], settings.val_fraction, settings.test_fraction, settings.seed)
    return pd.Series({id: name for name in SPLITS for id in parts[name]}, name="split").reindex(table.index)


def frequencies(table: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """The share of rows with each attribute: rows by attribute, columns all, train, val, test."""
    attributes = table.drop(columns="file")
    columns = {"all": attributes.mean()} | {name: attributes[split == name].mean() for name in SPLITS}
    return pd.DataFrame(columns).rename_axis("attribute").reset_index()


def samples(
    archive: "Archive", table: pd.DataFrame, settings: "PrepareParams", skipped: preparing.Skipped
) -> "Iterator[Sample]":
    """The images of `table` that are there and can be decoded, in id order; the bytes are the archive's own."""
    folder = archive.locate(ATTRIBUTES) + IMAGES
    rows = preparing.present(archive, folder, table["file"].items(), settings, skipped)
    contents = (preparing.read_image(archive, folder + file) for _, file in rows)
    results = preparing.ordered_map(preparing.checked, contents, settings.num_workers)
    yield from preparing.prepare(rows, results, "CelebA-HQ", settings, skipped)
