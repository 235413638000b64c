"""The image sets: their classes, splits and captions by sample id, and their images as equal squares."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from difflab.core.base import rng as keyed
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.images.archives.pictures import NO_PICTURE, list_pictures
from difflab.images.preparing import samples as preparing
from difflab.images.sets.formats import cifar10, coco, image_folder, mnist, recipes
from difflab.images.sets.formats.splits import splits_of, two_splits

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive
    from difflab.images.params import PrepareParams
    from difflab.images.preparing.store_writer import Sample
    from difflab.images.sets.formats.rows import Captioned, Labelled

DATASETS = ("cifar10", "mnist", "scenes", "coco", "recipes")
SPLITS = ("train", "test")
TRAINING_ONLY = ("coco", "recipes")  # sets that need no image to test
CAPTIONS = "human"  # kind of the captions that come with a set; its variants are human-0, human-1, ...


class Entry(NamedTuple):
    """One image of a set."""

    id: str  # e.g. cifar10-train-00000
    split: str
    file: str  # its place in the archive
    label: int = -1  # a row of the set's classes, -1 where it has none
    captions: tuple[str, ...] = ()  # one clean line each
    pixels: np.ndarray | None = None  # uint8 [H, W] or [H, W, 3]; None where `file` is to be read and decoded


@dataclass(frozen=True)
class ArchivedSet:
    """A set as its archive holds it."""

    name: str
    classes: tuple[str, ...]  # none for unlabelled sets
    entries: list[Entry]  # in id order
    dropped: dict[str, int] = field(default_factory=dict)  # rows of its table that name no image or say nothing of it

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


def read_image_set(
    name: str,
    archive: "Archive",
    seed: int,
    test_fraction: float,
    max_images: int | None,
    caption_column: str | None = None,
) -> ArchivedSet:
    """The set `name` of an archive, the first `max_images` of each split.

    Args:
        test_fraction: the expected share of held-out scenes, where no folder says the split. Each photograph is drawn by
            its content, so that equal ones share a split, and further ones move none.
        caption_column: of the tables of an image folder, see `image_folder.read`.
    """
    classes: tuple[str, ...] = ()
    dropped: dict[str, int] = {}
    if name == "scenes":
        splits = _scenes(archive, seed, test_fraction)
    elif name in ("cifar10", "mnist"):
        classes, batches = cifar10.read(archive) if name == "cifar10" else (NUMBER_WORDS, mnist.read(archive))
        splits = {split: _labelled(name, split, files) for split, files in batches.items()}
    else:
        if name == "recipes":
            found = recipes.read(archive, dropped)
        else:
            found = coco.read(archive) if coco.is_coco(archive) else image_folder.read(archive, caption_column)
        splits = {split: _captioned(name, split, images) for split, images in found.items()}
    kept = [entry for entries in splits.values() for entry in entries[:max_images]]
    return ArchivedSet(name, classes, sorted(kept, key=lambda entry: entry.id), dropped)


def _labelled(name: str, split: str, files: Iterable["Labelled"]) -> list[Entry]:
    entries: list[Entry] = []
    for file, images, labels in files:
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            id = f"{name}-{split}-{len(entries):05d}"
            entries.append(Entry(id, split, f"{file}:{row}", int(label), pixels=image))
    return entries


def _captioned(name: str, split: str, images: Iterable["Captioned"]) -> list[Entry]:
    return [Entry(f"{name}-{split}-{number:012d}", split, file, captions=texts) for number, file, texts in images]


def _scenes(archive: "Archive", seed: int, test_fraction: float) -> dict[str, list[Entry]]:
    files = list_pictures(archive)
    if not files:
        raise DifflabError(f"{archive.path} has no photographs (JPEG, PNG, WebP, TIFF, ...): put some there")
    archive.pass_over(NO_PICTURE, sorted(set(archive.names()) - set(files)))
    named = dict.fromkeys(files, "train") | splits_of(files)
    if set(named.values()) == {"train"}:
        for file in files:
            draw = keyed.key(seed, "scenes test", sha256_bytes(preparing.read_image(archive, file))) / 2**63
            named[file] = "test" if draw < test_fraction else "train"
    by_split = {part: [file for file in files if named[file] == part] for part in ("train", "test", "val")}
    return {
        split: [Entry(f"scenes-{split}-{number:05d}", split, file) for number, file in enumerate(found)]
        for split, found in two_splits(by_split, archive, by_split).items()
    }


def samples(
    archive: "Archive",
    image_set: ArchivedSet,
    size: int,
    non_square: str,
    settings: "PrepareParams",
    skipped: preparing.Skipped,
) -> "Iterator[Sample]":
    """The images of a set as squares of `size` pixels, in id order; smaller ones are skipped.

    Args:
        non_square: "crop" (to the square in the middle) or "error".
    """
    files = [(entry.id, entry.file) for entry in image_set.entries if entry.pixels is None]
    present = dict(preparing.present(archive, "", files, settings, skipped))
    entries = [entry for entry in image_set.entries if entry.pixels is not None or entry.id in present]
    jobs = ((preparing.read_image(archive, e.file) if e.pixels is None else e.pixels, size) for e in entries)
    workers = settings.num_workers if files else 1  # small decoded images take longer to send than to encode
    squares = preparing.ordered_map(preparing.square_png, jobs, workers)
    rows = [(entry.id, entry.file) for entry in entries]
    for sample in preparing.prepare(rows, squares, image_set.name, settings, skipped):
        if skipped.cropped and non_square == "error":
            raise DifflabError(f"{archive.path}: {sample.file} is not square: crop it, or set images.non_square=crop")
        yield sample


def shared_images(index: pd.DataFrame) -> int:
    """How many test images have the content of a training image."""
    train, test = (index.loc[index["split"] == split, "sha256"] for split in SPLITS)
    return int(test.isin(train).sum())


def class_counts(index: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Images by class (the last row: all) and split."""
    members = index[list(classes)].assign(all=True).groupby(index["split"]).sum()
    return members.T.reindex(columns=SPLITS, fill_value=0).rename_axis("class").reset_index()
