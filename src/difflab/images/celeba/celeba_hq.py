"""CelebA-HQ from the official archive: attributes, split, images."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.images.celeba import annotations
from difflab.images.preparing.samples import present_files, read_image, refuse_unreadable, sample_ids
from difflab.images.preparing.workers import checked, ordered_map
from difflab.images.store.split import SPLITS, split_ids
from difflab.images.store_writer import Sample

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive
    from difflab.images.params import PrepareParams, SplitParams
    from difflab.images.preparing.samples import Skipped

ATTRIBUTES = "CelebAMask-HQ-attribute-anno.txt"
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
IMAGES = "CelebA-HQ-img/"


def read_table(archive: "Archive") -> pd.DataFrame:
    """The attribute table: bool DataFrame by id ("hq-00012") with the columns file, then the attributes."""
    name = archive.locate(ATTRIBUTES) + ATTRIBUTES
    with archive.open(name) as stream:
        table = annotations.read_attributes(stream, name)
    return by_id(table, "hq-{:05d}", name)


def by_id(table: pd.DataFrame, form: str, name: str) -> pd.DataFrame:
    """An attribute table by file -> by id, in id order, the file as the first column."""
    ids = sample_ids(table.index, form, name)
    table = table.reset_index().set_index(pd.Index(ids, name="id"))
    if table.index.has_duplicates:
        raise DifflabError(f"{name} lists {table.index[table.index.duplicated()][0]} twice: correct the table")
    return table.sort_index()


def read_mapping(archive: "Archive", table: pd.DataFrame) -> dict[int, str]:
    """HQ number -> file name in CelebA, for every row of the attribute table.

    Raises:
        DifflabError: rows are missing; their images would come back as images that are not in CelebA-HQ.
    """
    name = archive.locate(MAPPING) + MAPPING
    with archive.open(name) as stream:
        mapping = annotations.read_mapping(stream, name)
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
    strata = getattr(settings.stratify, data_set, ())
    missing = [name for name in strata if name not in table]
    if missing:
        raise DifflabError(
            f"split.stratify.{data_set} names {', '.join(missing)}, which the attribute table does not have; "
            f"it has {', '.join(table.columns[1:])}"
        )
    parts = split_ids(
        table.index.tolist(), table[list(strata)], settings.val_fraction, settings.test_fraction, settings.seed
    )
    return pd.Series({id: name for name in SPLITS for id in parts[name]}, name="split").reindex(table.index)


def frequencies(table: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """The share of rows with each attribute: rows by attribute, columns all, train, val, test."""
    attributes = table.drop(columns="file")
    columns = {"all": attributes.mean()} | {name: attributes[split == name].mean() for name in SPLITS}
    return pd.DataFrame(columns).rename_axis("attribute").reset_index()


def samples(archive: "Archive", table: pd.DataFrame, settings: "PrepareParams", skipped: "Skipped") -> Iterator[Sample]:
    """The images of `table` that are there and can be decoded, in id order; the bytes are the archive's own.

    Raises:
        DifflabError: images are absent or unreadable and the parameters do not allow it.
    """
    folder = archive.locate(ATTRIBUTES) + IMAGES
    files = present_files(archive, folder, table["file"].tolist(), settings.absent_images, skipped)
    ids = dict(zip(table["file"], table.index, strict=True))
    contents = (read_image(archive, folder + file) for file in files)
    paired = zip(files, ordered_map(checked, contents, settings.num_workers), strict=True)
    for file, result in runtime.progress(paired, total=len(files), desc="CelebA-HQ", unit="image"):
        if result.problem:
            skipped.unreadable.append(file)
        else:
            yield Sample(ids[file], file, result.image, result.width, result.height)
    refuse_unreadable(skipped, settings)
