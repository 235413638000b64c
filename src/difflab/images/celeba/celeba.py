"""The extra CelebA images for training: large ones that CelebA-HQ does not have, cropped around the face."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.images.celeba import annotations
from difflab.images.preparing import samples as preparing

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive
    from difflab.images.params import PrepareParams
    from difflab.images.preparing.store_writer import Sample

ATTRIBUTES = "Anno/list_attr_celeba.txt"
BOXES = "Anno/list_bbox_celeba.txt"
IMAGES = "Img/img_celeba/"


def read_table(archive: "Archive") -> pd.DataFrame:
    """The attribute table: bool DataFrame by id ("celeba-000123"), columns file, then the attributes."""
    return annotations.read_attributes(archive, ATTRIBUTES, "celeba-{:06d}")


def read_boxes(archive: "Archive") -> dict[str, tuple[int, int, int, int]]:
    """Face boxes (x, y, width, height in pixels) by file: a count, a line of names, then `<file> x y width height`."""
    name = archive.locate(BOXES) + BOXES
    boxes = {}
    for line, (file, *values) in list(annotations.read_rows(archive, name, width=5))[1:]:
        x, y, width, height = (annotations.whole_number(value, name, line) for value in values)
        boxes[file] = x, y, width, height
    return boxes


def check_same_attributes(table: pd.DataFrame, hq_table: pd.DataFrame) -> None:
    """Refuse to mix archives that do not belong together, for example a bundled and an official one."""
    if list(table.columns) != list(hq_table.columns):
        raise DifflabError(
            "celeba and celeba_hq have different attributes: take both from the same source "
            "(data.celeba.source, data.celeba_hq.source)"
        )


def samples(
    archive: "Archive", candidates: pd.DataFrame, settings: "PrepareParams", skipped: preparing.Skipped
) -> "Iterator[Sample]":
    """The images of `candidates` cropped to `face_square`, in id order, at most `max_celeba_images`."""
    folder = archive.locate(ATTRIBUTES) + IMAGES
    boxes = read_boxes(archive)
    usable = {file for file, (_, _, width, height) in boxes.items() if width > 0 and height > 0}
    present = preparing.present(archive, folder, candidates["file"].items(), settings, skipped)
    skipped.no_face_box += [file for _, file in present if file not in usable]
    rows = [(id, file) for id, file in present if file in usable]
    jobs = ((preparing.read_image(archive, folder + file), boxes[file], settings.min_side) for _, file in rows)
    results = preparing.ordered_map(preparing.face_png, jobs, settings.num_workers)
    yield from preparing.prepare(rows, results, "CelebA", settings, skipped, settings.max_celeba_images)
