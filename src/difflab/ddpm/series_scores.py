"""Scores of the DDPM series's images: nearness to one picture, distances between sets, and the class asked for."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import numbers_in
from difflab.ddpm.classifier import SIZE, ResNet20, judge
from difflab.ddpm.floors import RealImages, floor, halves
from difflab.metrics.images.distances import frechet_distance, kernel_distance
from difflab.metrics.images.manifold import density_coverage, extrapolated_fid, precision_recall
from difflab.metrics.uncertainty.restoration import psnr

if TYPE_CHECKING:
    from difflab.images.generated.reader import GeneratedImages

NEIGHBOURS = 5  # of density and coverage


def nearness(images: Tensor, target: Tensor) -> np.ndarray:
    """PSNR in dB of each image uint8 [n, C, H, W] against one target uint8 [C, H, W], float64 [n]."""
    return psnr(target, images, data_range=255).numpy()


def by_seed(generated: "GeneratedImages") -> dict[int, Tensor]:
    """The images of each generation seed, uint8 [n, C, H, W]; one channel where they are all grey."""
    made = {seed: np.stack([np.asarray(i) for i in generated.read(seed)]) for seed in generated.seeds}
    channels = 1 if all((images == images[..., :1]).all() for images in made.values()) else 3
    return {seed: torch.from_numpy(images[..., :channels]).permute(0, 3, 1, 2) for seed, images in made.items()}


def training_scores(
    network: ResNet20, draws: Iterable[Tensor], reference: np.ndarray, asked: Sequence[str] | None, *, seed: int
) -> dict[str, float]:
    """The scores of one training, each the mean over its generation draws.

    Args:
        network: its features make the distances, its classes the accuracy.
        draws: generated images uint8 [n, C, H, W].
        reference: features of real images [m, d].
        asked: the class asked for, image by image; None for no classes.

    Returns:
        Those of `distances`, and accuracy where classes were asked for.
    """
    rows = []
    for images in draws:
        features, seen = features_and_classes(network, images)
        rows.append(distances(features, reference, seed=seed))
        if asked is not None:
            rows[-1]["accuracy"] = accuracy(seen, asked)
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def real_scores(
    real: Mapping[str, RealImages], classes: Sequence[str], *, seed: int
) -> tuple[np.ndarray, dict[str, float], str]:
    """The reference for generated images of some classes, what real images score against it, and what is refused.

    Args:
        real: the splits train and test.
        classes: of the generated images, one for each; all "" where there are none.

    Returns:
        Features of the reference [m, d]: half of the training images, or all where the other half has too few for a
        floor. Then `floor_<measure>` of the other half and `held_out_fid`, `held_out_kid` of the test images, each of
        as many images of the same classes as are generated. Last, a line on the first that is refused, or "".
    """
    reference, rest = halves(real["train"], seed=seed)
    metrics: dict[str, float] = {}
    refused = ""
    measure = partial(distances, seed=seed)
    try:
        own = floor(rest, reference.features, classes, measure, seed=seed)
        metrics |= {f"floor_{name}": value for name, value in own.items()}
    except DifflabError as error:
        reference, refused = real["train"], str(error)
    try:
        beside = floor(real["test"], reference.features, classes, measure, seed=seed)
        metrics |= {f"held_out_{name}": beside[name] for name in ("fid", "kid")}
    except DifflabError as error:
        refused = refused or str(error)
    return reference.features, {"reference_n": len(reference.features), **metrics}, refused


def distances(features: np.ndarray, reference: np.ndarray, *, seed: int) -> dict[str, float]:
    """FID, KID, FID at infinitely many images, precision, recall, density and coverage of features [n, d] and [m, d].

    Those that have too few images (see `difflab.metrics.images.manifold`) are left out.
    """
    fid = frechet_distance(features, reference)
    kid = kernel_distance(features, reference, num_subsets=50, subset_size=2000, seed=seed)
    found = {"fid": fid, "kid": kid}
    if min(len(features), len(reference)) > NEIGHBOURS:
        found["fid_infinity"] = extrapolated_fid(features, reference, seed)
        found |= precision_recall(features, reference) | density_coverage(features, reference, NEIGHBOURS)
    return found


def below_floor(metrics: Mapping[str, Any], setting: str) -> bool:
    """Whether FID or KID of a setting lies below its floor by more than its interval: then it copies, or errs.

    Where it was trained once, the value itself counts; without a floor nothing lies below it.
    """
    names = ((f"{setting}_{measure}", f"{setting}_floor_{measure}") for measure in ("fid", "kid"))
    return any(metrics.get(f"{own}_high", metrics[own]) < metrics[bound] for own, bound in names if bound in metrics)


def features_and_classes(network: ResNet20, images: Tensor) -> tuple[np.ndarray, list[str]]:
    """Features float32 [n, 64] and class names [n] of uint8 images [n, C, H, W] of any size, C is 1 or 3.

    Other sizes are brought to 32 by antialiased bilinear interpolation.
    """
    if images.shape[-1] != SIZE:
        shape = {"size": (SIZE, SIZE), "mode": "bilinear", "antialias": True}
        resized = torch.nn.functional.interpolate(images.float(), **shape)
        images = resized.round().clamp(0, 255).to(torch.uint8)
    features, classes = judge(network, images.expand(-1, 3, -1, -1))
    return features.numpy(), [network.classes[number] for number in classes.tolist()]


def accuracy(seen: Sequence[str], wanted: Sequence[str]) -> float:
    """The share of images in which the class that is seen is the one that was wanted."""
    return statistics.fmean(name == other for name, other in zip(seen, wanted, strict=True))


def class_of(wanted: str, classes: Sequence[str]) -> str:
    """The class that a class name or a prompt asks for."""
    digits = numbers_in(wanted)
    for name in classes:
        if name == wanted or (digits and numbers_in(name) == digits):
            return name
    raise DifflabError(f"'{wanted}' asks for none of the classes {', '.join(classes)}")
