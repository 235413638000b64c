"""Scores of the DDPM series's images: nearness to one picture, distances between sets, and the class asked for."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import numbers_in
from difflab.ddpm.classifier import SIZE, ResNet20, judge
from difflab.metrics.distances import frechet_distance, kernel_distance
from difflab.metrics.restoration import psnr

if TYPE_CHECKING:
    from difflab.ddpm.data import Split
    from difflab.images.generated_reader import GeneratedImages

EQUAL_DB = 10 * math.log10(255**2 / 1e-9)  # of equal images, whose PSNR is infinite


def nearness(images: Tensor, target: Tensor) -> np.ndarray:
    """PSNR in dB of each image uint8 [n, C, H, W] against one target uint8 [C, H, W], float64 [n]."""
    return psnr(target, images, data_range=255).clamp_max(EQUAL_DB).numpy()


def by_seed(generated: "GeneratedImages") -> dict[int, Tensor]:
    """The images of each generation seed, uint8 [n, C, H, W]; one channel where they are all grey."""
    made = {seed: np.stack([np.asarray(i) for i in generated.read(seed)]) for seed in generated.seeds}
    channels = 1 if all((images == images[..., :1]).all() for images in made.values()) else 3
    return {seed: torch.from_numpy(images[..., :channels]).permute(0, 3, 1, 2) for seed, images in made.items()}


def score(
    network: ResNet20, made: Mapping[int, Tensor], real: dict[str, "Split"], wanted: Sequence[str] | None, *, seed: int
) -> dict[str, float]:
    """Distances of generated images to the training images, mean and deviation over generation seeds.

    Args:
        network: its features make the distances, its classes the accuracy.
        made: generated images by generation seed, uint8 [n, C, H, W].
        real: the splits train and test; the floor is test against train, at the same n if there are so many.
        wanted: the class asked for, image by image; None for no classes.

    Returns:
        fid, kid, accuracy (each with `_std` where there are several seeds), floor_fid, floor_kid,
        real_accuracy, n, floor_n, reference_n.
    """
    reference, _ = features_and_classes(network, real["train"].pixels)
    held_out, seen = features_and_classes(network, real["test"].pixels)
    n = len(next(iter(made.values())))
    floor = sorted(rng.numpy_rng(seed, "DDPM series floor").permutation(len(held_out))[:n].tolist())
    metrics: dict[str, float] = {"n": n, "floor_n": len(floor), "reference_n": len(reference)}
    rows = []
    for images in made.values():
        features, classes = features_and_classes(network, images)
        row = distances(features, reference, seed)
        if wanted is not None:
            row["accuracy"] = accuracy(classes, wanted)
        rows.append(row)
    for name in rows[0]:
        values = [row[name] for row in rows]
        metrics[name] = statistics.fmean(values)
        if len(values) > 1:
            metrics[f"{name}_std"] = statistics.stdev(values)
    metrics |= {f"floor_{k}": v for k, v in distances(held_out[floor], reference, seed).items()}
    if wanted is not None:
        metrics["real_accuracy"] = accuracy(seen, real["test"].labels)
    return metrics


def distances(features: np.ndarray, reference: np.ndarray, seed: int) -> dict[str, float]:
    """FID and KID between features [n, d] and [m, d]."""
    kid = kernel_distance(features, reference, num_subsets=50, subset_size=2000, seed=seed)
    return {"fid": frechet_distance(features, reference), "kid": kid}


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
