"""The extra CelebA images for training: large ones that CelebA-HQ does not have, cropped around the face."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.images.celeba import annotations
from difflab.images.celeba.celeba_hq import by_id
from difflab.images.preparing.samples import present_files, read_image, refuse_unreadable
from difflab.images.preparing.workers import face_png, ordered_map
from difflab.images.store_writer import Sample

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive
    from difflab.images.params import PrepareParams
    from difflab.images.preparing.samples import Skipped

ATTRIBUTES = "Anno/list_attr_celeba.txt"
BOXES = "Anno/list_bbox_celeba.txt"
IMAGES = "Img/img_celeba/"


def read_table(archive: "Archive") -> pd.DataFrame:
    """The attribute table: bool DataFrame by id ("celeba-000123"), columns file, then the attributes."""
    name = archive.locate(ATTRIBUTES) + ATTRIBUTES
    with archive.open(name) as stream:
        table = annotations.read_attributes(stream, name)
    return by_id(table, "celeba-{:06d}", name)


def read_boxes(archive: "Archive") -> dict[str, tuple[int, int, int, int]]:
    """Face boxes (x, y, width, height in pixels) by file."""
    name = archive.locate(BOXES) + BOXES
    with archive.open(name) as stream:
        return annotations.read_boxes(stream, name)


def check_same_attributes(table: pd.DataFrame, hq_table: pd.DataFrame) -> None:
    """Refuse to mix archives that do not belong together, for example a bundled and an official one."""
    if list(table.columns) != list(hq_table.columns):
        raise DifflabError(
            "celeba and celeba_hq have different attributes: take both from the same source "
            "(data.celeba.source, data.celeba_hq.source)"
        )


def samples(
    archive: "Archive", candidates: pd.DataFrame, settings: "PrepareParams", skipped: "Skipped"
) -> Iterator[Sample]:
    """The images of `candidates` cropped to `face_square`, in id order, at most `max_celeba_images`.

    Raises:
        DifflabError: images are absent or unreadable and the parameters do not allow it.
    """
    folder = archive.locate(ATTRIBUTES) + IMAGES
    boxes = read_boxes(archive)
    files = present_files(archive, folder, candidates["file"].tolist(), settings.absent_images, skipped)
    skipped.no_face_box.extend(file for file in files if not _usable(boxes.get(file)))
    files = [file for file in files if _usable(boxes.get(file))]
    ids = dict(zip(candidates["file"], candidates.index, strict=True))
    jobs = ((read_image(archive, folder + file), boxes[file], settings.min_side) for file in files)
    cropped = zip(files, ordered_map(face_png, jobs, settings.num_workers), strict=True)
    progress = runtime.progress(cropped, total=len(files), desc="CelebA", unit="image")
    yield from islice(_kept(progress, ids, skipped), settings.max_celeba_images)
    refuse_unreadable(skipped, settings)


def _kept(cropped, ids: dict[str, str], skipped: "Skipped") -> Iterator[Sample]:
    for file, result in cropped:
        if result.problem:
            getattr(skipped, result.problem).append(file)
        else:
            yield Sample(ids[file], file, result.image, result.width, result.height)


def _usable(box: tuple[int, int, int, int] | None) -> bool:
    return box is not None and box[2] > 0 and box[3] > 0
