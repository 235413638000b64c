"""The image sets: their classes, splits and captions by sample id, and their images as equal squares."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from difflab.core.base import rng as keyed
from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes
from difflab.images.preparing.samples import Skipped, present_files, read_image, refuse_unreadable
from difflab.images.preparing.workers import ordered_map, square_png
from difflab.images.sets.formats import cifar10, coco, image_folder, mnist, photographs, recipes
from difflab.images.store_writer import Sample

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive
    from difflab.images.params import PrepareParams
    from difflab.images.sets.formats.captioned import Captioned
    from difflab.images.sets.formats.labelled import Labelled

DATASETS = ("cifar10", "mnist", "scenes", "coco", "recipes")
SPLITS = ("train", "test")
CAPTIONS = "human"  # kind of the captions that come with a set; its variants are human-0, human-1, ...


class Entry(NamedTuple):
    """One image of a set.

    Attributes:
        id: e.g. cifar10-train-00000.
        split: train or test.
        file: its place in the archive.
        label: a row of the set's classes, -1 where it has none.
        captions: one clean line each.
        pixels: uint8 [H, W] or [H, W, 3]; None where `file` is to be read and decoded.
    """

    id: str
    split: str
    file: str
    label: int = -1
    captions: tuple[str, ...] = ()
    pixels: np.ndarray | None = None


@dataclass(frozen=True)
class ArchivedSet:
    """A set as its archive holds it.

    Attributes:
        name: one of `DATASETS`.
        classes: names of the classes, none for unlabelled sets.
        entries: in id order.
    """

    name: str
    classes: tuple[str, ...]
    entries: list[Entry]

    def table(self) -> pd.DataFrame:
        """By id: file, split, then one bool per class."""
        labels = np.array([entry.label for entry in self.entries])
        columns = {"file": [e.file for e in self.entries], "split": [e.split for e in self.entries]}
        columns |= {name: labels == row for row, name in enumerate(self.classes)}
        return pd.DataFrame(columns, index=pd.Index([entry.id for entry in self.entries], name="id"))

    def captions(self, sha256: pd.Series) -> pd.DataFrame:
        """The captions of the images whose hashes are given by id, as `captions.table` stores them."""
        rows = [
            (entry.id, f"{CAPTIONS}-{number}", caption, sha256[entry.id])
            for entry in self.entries
            if entry.id in sha256.index
            for number, caption in enumerate(entry.captions)
        ]
        return pd.DataFrame(rows, columns=["id", "variant", "caption", "source_sha256"])


@dataclass
class Treated(Skipped):
    """Beside what was skipped, the images that were cropped because they are not square."""

    cropped: list[str] = field(default_factory=list)


def read_image_set(
    name: str, archive: "Archive", seed: int, test_fraction: float, max_images: int | None
) -> ArchivedSet:
    """The set `name` of an archive, the first `max_images` of each split.

    Args:
        test_fraction: the expected share of held-out scenes. Each photograph is drawn by its content, so that
            equal ones share a split, and further ones move none.

    Raises:
        DifflabError: the archive is not of the official form.
    """
    classes: tuple[str, ...] = ()
    if name == "cifar10":
        classes, batches = cifar10.read(archive)
        entries = {split: _labelled(name, split, files) for split, files in batches.items()}
    elif name == "mnist":
        classes = mnist.NAMES
        entries = {split: _labelled(name, split, files) for split, files in mnist.read(archive).items()}
    elif name == "scenes":
        entries = _scenes(archive, seed, test_fraction)
    elif name == "coco":
        images = coco.read(archive) if coco.is_coco(archive) else image_folder.read(archive)
        entries = {split: _captioned(name, split, rows) for split, rows in images.items()}
    elif name == "recipes":
        entries = {split: _captioned(name, split, rows) for split, rows in recipes.read(archive).items()}
    else:
        raise DifflabError(f"there is no image set '{name}', only {', '.join(DATASETS)}")
    kept = [entry for rows in entries.values() for entry in rows[:max_images]]
    return ArchivedSet(name, classes, sorted(kept, key=lambda entry: entry.id))


def _labelled(name: str, split: str, files: Iterable["Labelled"]) -> list[Entry]:
    rows = (
        (f"{part.file}:{row}", int(label), image)
        for part in files
        for row, (label, image) in enumerate(zip(part.labels, part.images, strict=True))
    )
    return [
        Entry(f"{name}-{split}-{number:05d}", split, file, label, pixels=image)
        for number, (file, label, image) in enumerate(rows)
    ]


def _captioned(name: str, split: str, images: Iterable["Captioned"]) -> list[Entry]:
    return [
        Entry(f"{name}-{split}-{image.number:012d}", split, image.file, captions=image.captions) for image in images
    ]


def _scenes(archive: "Archive", seed: int, test_fraction: float) -> dict[str, list[Entry]]:
    entries: dict[str, list[Entry]] = {split: [] for split in SPLITS}
    for file in photographs.list_files(archive):
        draw = keyed.key(seed, "scenes test", sha256_bytes(read_image(archive, file))) / 2**63
        split = "test" if draw < test_fraction else "train"
        entries[split].append(Entry(f"scenes-{split}-{len(entries[split]):05d}", split, file))
    return entries


def samples(
    archive: "Archive", image_set: ArchivedSet, size: int, non_square: str, settings: "PrepareParams", treated: Treated
) -> Iterator[Sample]:
    """The images of a set as squares of `size` pixels, in id order; smaller ones are skipped.

    Args:
        non_square: "crop" (to the square in the middle) or "error".

    Raises:
        DifflabError: images are absent, unreadable or not square and the parameters do not allow it.
    """
    entries = image_set.entries
    files = [entry.file for entry in entries if entry.pixels is None]
    present = set(present_files(archive, "", files, settings.absent_images, treated))
    entries = [entry for entry in entries if entry.pixels is not None or entry.file in present]
    jobs = ((read_image(archive, e.file) if e.pixels is None else e.pixels, size) for e in entries)
    workers = settings.num_workers if files else 1  # small decoded images take longer to send than to encode
    pairs = zip(entries, ordered_map(square_png, jobs, workers), strict=True)
    for entry, square in runtime.progress(pairs, total=len(entries), desc=image_set.name, unit="image"):
        if square.problem:
            getattr(treated, square.problem).append(entry.file)
            continue
        if square.cropped:
            treated.cropped.append(entry.file)
            if non_square == "error":
                raise DifflabError(
                    f"{archive.path}: {entry.file} is not square: crop it, or set images.non_square=crop"
                )
        yield Sample(entry.id, entry.file, square.image, size, size)
    refuse_unreadable(treated, settings)


def check_splits(archive: "Archive", index: pd.DataFrame, name: str, treated: Treated) -> None:
    """Refuse a set without an image to train on or, COCO and the recipes apart, without one to test.

    Args:
        index: the index of the prepared set.
    """
    needed = ("train",) if name in ("coco", "recipes") else SPLITS
    if empty := [split for split in needed if not (index["split"] == split).any()]:
        remedy = "put more images there"
        if treated.small:
            remedy = f"{len(treated.small):,} are smaller than images.image_size.{name}, lower it"
        raise DifflabError(f"{archive.path} has no usable image for the split {', '.join(empty)}: {remedy}")


def shared_images(index: pd.DataFrame) -> int:
    """How many test images have the content of a training image."""
    train = set(index.loc[index["split"] == "train", "sha256"])
    return int(index.loc[index["split"] == "test", "sha256"].isin(train).sum())


def class_counts(index: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Images by class (the last row: all) and split."""
    rows = [*((name, index[name]) for name in classes), ("all", index["present"])]
    counts = [
        {"class": name} | {split: int((chosen & (index["split"] == split)).sum()) for split in SPLITS}
        for name, chosen in rows
    ]
    return pd.DataFrame(counts)
