"""Score every cell of the study in the same way."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import process_index
from difflab.datasets import data_set_of
from difflab.metrics.features.features import (
    Extractor,
    as_array,
    extract,
    extract_and_classify,
    judged_classes,
    keep_features,
    kept_features,
    kept_path,
    load_extractor,
    reference_features,
    share_correct,
)
from difflab.metrics.images.distances import RankDeficientWarning, check_count, frechet_distance, kernel_distance
from difflab.sd3.scoring.looks import Looked, PictureSet, look_at
from difflab.sd3.scoring.neighbours import Neighbours

if TYPE_CHECKING:
    from difflab.core.base.store.image_store import ImageStore
    from difflab.metrics.features.features import VisionEncoderExtractor
    from difflab.sd3.params import ScoreParams


@dataclass
class Judge:
    """Everything that all cells are scored against.

    Attributes:
        reference: features of the real reference images, float32 [n, dim].
        attributes: the attribute table by sample id.
        seed: the study's seed, for subsets.
        side: of the square pictures in pixels; generated ones have it, real ones are brought to it.
        neighbours: where it is given, rows hold its measures too.
        class_sets: the classes of the data set that the extractor can see.
        predictions: a table for each scored set, with one row per image, where there are such classes.
        counts: the numbers of images of the sets scored so far.
    """

    reference: np.ndarray
    extractor: Extractor
    attributes: pd.DataFrame
    params: "ScoreParams"
    seed: int
    side: int
    neighbours: Neighbours | None = None
    predictions: list[pd.DataFrame] = field(default_factory=list)
    counts: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.class_sets = judged_classes(data_set_of(self.attributes.columns).class_sets, self.extractor)

    def score(self, images: Iterable, ids: Sequence[str], **labels: object) -> dict[str, Any]:
        """One row of the long table: labels, n, distances to the reference and class accuracy.

        The images are taken one by one: an iterator that decodes them keeps no more than a batch in memory.

        Raises:
            DifflabError: fewer images than `score.min_images`, or images smaller than `side`: they would be blurred.
        """
        what = self.check(ids, **labels)
        return self.row(self.look(images, what), ids, **labels)

    def check(self, ids: Sequence[str], **labels: object) -> str:
        """The name of a set in messages, once it is known to have enough images."""
        what = " ".join(str(v) for v in labels.values() if v != "")
        check_count(len(ids), min_images=self.params.min_images, what=what)
        return what

    def row(self, looked: Looked, ids: Sequence[str], **labels: object) -> dict[str, Any]:
        """The row of what `look` has seen of the images of `ids`."""
        features, seen = looked
        row = {**labels, "n": len(ids), **self.distances(features)}
        row |= self.neighbours.measure(features) if self.neighbours else {}
        return row | self._accuracy(seen, ids, labels) if self.class_sets else row

    @property
    def resize(self) -> str:
        """How every picture came to the extractor's eyes, in words."""
        return f"centre square, antialiased bicubic to {self.side}; then {self.extractor.resize}"

    def distances(self, features: np.ndarray) -> dict[str, float]:
        """FID and KID of features [n, dim] to the reference; a small n is warned of once."""
        sizes = {"num_subsets": self.params.kid_subsets, "subset_size": self.params.kid_subset_size}
        with warnings.catch_warnings():
            if len(features) in self.counts:
                warnings.simplefilter("ignore", RankDeficientWarning)
            fid = frechet_distance(features, self.reference)
        self.counts.add(len(features))
        return {"fid": fid, "kid": kernel_distance(features, self.reference, **sizes, seed=self.seed)}

    def _large_enough(self, images: Iterable, what: str) -> Iterator[np.ndarray]:
        for image in map(as_array, images):
            if min(image.shape[:2]) < self.side:
                size = f"{image.shape[1]} x {image.shape[0]}"
                raise DifflabError(
                    f"{what}: an image of {size} pixels, the others have {self.side}: score one size only"
                )
            yield image

    def look(self, images: Iterable, what: str) -> Looked:
        """Features, and the classes of each head where the extractor sees those of the data set."""
        images = self._large_enough(images, what)
        if not self.class_sets:
            return extract(images, self.extractor, self.params.batch_size, self.side), {}
        extractor = cast("VisionEncoderExtractor", self.extractor)  # no other sees classes
        return extract_and_classify(images, extractor, self.params.batch_size, self.side)

    def _accuracy(
        self, seen: Mapping[str, np.ndarray], ids: Sequence[str], labels: dict[str, object]
    ) -> dict[str, float | None]:
        rows = self.attributes.loc[list(ids)]
        predictions: dict[str, Any] = {**labels, "id": list(ids)}
        shares: dict[str, float | None] = {}
        for classes in self.class_sets:
            name, expected = classes.name, classes.of_rows(rows)
            predictions |= {f"expected_{name}": expected, name: seen[name]}
            shares[f"{name}_accuracy"] = share_correct(seen[name], expected)
        self.predictions.append(pd.DataFrame(predictions))
        return shares

    def all_predictions(self) -> pd.DataFrame:
        """The predictions of all scored images; a table without rows where there are no classes."""
        nothing = pd.DataFrame(columns=["adapter", "captions", "training", "seed", "id"], dtype="object")
        return pd.concat(self.predictions, ignore_index=True) if self.predictions else nothing


def load_judge(store: "ImageStore", params: "ScoreParams", device: str, seed: int, side: int) -> Judge:
    """The judge of the real reference images of `store`, seen by the extractor of models/zoo/vision_encoder.

    Args:
        side: of the generated pictures, which the real ones are brought to.
    """
    judge = new_judge(store, params, device, seed, side)
    ids = store.split(params.reference_split)
    judge.reference = reference_features(store, ids, judge.extractor, params.batch_size, side=side)
    return judge


def new_judge(store: "ImageStore", params: "ScoreParams", device: str, seed: int, side: int) -> Judge:
    """A judge that has not seen its reference, as `load_judge` makes it."""
    extractor = load_extractor(params.extractor, Path("models/zoo/vision_encoder"), device)
    return Judge(np.zeros((0, extractor.dim), np.float32), extractor, store.attributes, params, seed, side)


def look_at_all(
    judge: Judge, store: "ImageStore", cells: Mapping[str, PictureSet], scratch: Path
) -> dict[str, Looked] | None:
    """What the judge sees of all sets, and, as its reference and neighbours, of the real images of `store`.

    The neighbours' training images are those of `store`, unseen ones the floor's split. Features of real images are
    kept between stages (`reference_features`). None in processes but the main one.
    """
    params, extractor = judge.params, judge.extractor
    size, side, splits = params.batch_size, judge.side, (params.reference_split, "train", params.floor_split)
    ids = {split: store.split(split) for split in splits}
    paths = {split: kept_path(store, ids[split], extractor, size, side=side) for split in ids}
    kept = {s: kept_features(path, (len(ids[s]), extractor.dim)) for s, path in paths.items()}
    alone = process_index()[1] == 1  # several have to agree on the sets, and do not ask what is kept
    missing = [f"the split {split}" for split in kept if kept[split] is None or not alone]
    real = {f"the split {split}": PictureSet(ids[split], one_by_one(store)) for split in ids}

    def look(images: Iterable, name: str) -> Looked:
        return judge.look(images, name) if name in cells else (extract(images, extractor, size, side), {})

    found = look_at({**{name: real[name] for name in missing}, **cells}, look, size, scratch)
    if found is None:
        return None
    for split, path in paths.items():
        if (name := f"the split {split}") in missing:
            keep_features(path, found.pop(name)[0])
    judge.reference, train, unseen = (
        reference_features(store, ids[split], extractor, size, side=side) for split in splits
    )
    judge.neighbours = Neighbours(judge.reference, train, unseen, judge.seed)
    return found


def one_by_one(store: "ImageStore") -> Callable[[Sequence[str]], Iterable]:
    """Reads the pictures of some ids of a store, each when its turn comes."""
    return lambda ids: (store.read([id])[0] for id in ids)


def same_count(rows: Sequence[Mapping[str, Any]]) -> int:
    """The number of images that all rows share; a DifflabError where they differ (a Frechet distance depends on n)."""
    counts = {row["n"] for row in rows}
    if len(counts) > 1:
        raise DifflabError(f"cells have different numbers of images ({sorted(counts)}): FID compares at equal n only")
    return counts.pop()


def floor_ids(ids: Sequence[str], n: int, seed: int) -> list[str]:
    """At most n real sample ids for the floor, drawn without replacement, in id order."""
    return sorted(rng.numpy_rng(seed, "floor").choice(sorted(ids), min(n, len(ids)), replace=False).tolist())
