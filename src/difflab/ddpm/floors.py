"""What real images score: as many of the same classes, against the same reference, as the generated ones.

The reference is half of each class of the training images, the floor is of the other half: new images of the same
distribution, as a perfect model would make. Held-out images may come from elsewhere (the miniature's test crops show
other regions of the photographs), which their distance contains; it stands beside the floor under its own name.
With every class in equal numbers on both sides two sets are more alike than by chance, so that KID's floor may be
below zero.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError

DRAWS = 10
Measure = Callable[[np.ndarray, np.ndarray], dict[str, float]]
"""Takes features [n, d] and those of the reference [m, d]."""


@dataclass(frozen=True)
class RealImages:
    """Real images as the judge sees them."""

    features: np.ndarray  # [n, d]
    classes: list[str]  # the true ones, [n]

    def take(self, rows: Sequence[int]) -> "RealImages":
        return RealImages(self.features[rows], [self.classes[row] for row in rows])


def halves(images: RealImages, *, seed: int) -> tuple[RealImages, RealImages]:
    """The reference and the rest: half of each class at random, the odd image in the reference."""
    parts: tuple[list[int], list[int]] = ([], [])
    for rows in _by_class(images.classes, rng.numpy_rng(seed, "DDPM series reference")).values():
        for part, own in zip(parts, (rows[: -(-len(rows) // 2)], rows[-(-len(rows) // 2) :]), strict=True):
            part.extend(own)
    reference, rest = (images.take(sorted(part)) for part in parts)
    return reference, rest


def floor(
    images: RealImages, reference: np.ndarray, classes: Sequence[str], measure: Measure, *, seed: int
) -> dict[str, float]:
    """The mean of a measure over random sets of real images with the given classes, each as often as given.

    Raises:
        DifflabError: there are fewer images of a class.
    """
    wanted, have = Counter(classes), Counter(images.classes)
    if few := [name for name in wanted if have[name] < wanted[name]]:
        raise DifflabError(f"{have[few[0]]} real images{_of(few[0])} for {wanted[few[0]]} generated ones give no floor")
    found = []
    for draw in range(DRAWS):
        rows = _by_class(images.classes, rng.numpy_rng(seed, "DDPM series floor", draw))
        chosen = sorted(row for name, count in wanted.items() for row in rows[name][:count])
        found.append(measure(images.features[chosen], reference))
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def _by_class(classes: Sequence[str], generator: np.random.Generator) -> dict[str, list[int]]:
    """The rows of each class, in random order."""
    rows: dict[str, list[int]] = {name: [] for name in sorted(set(classes))}
    for row in generator.permutation(len(classes)).tolist():
        rows[classes[row]].append(row)
    return rows


def _of(name: str) -> str:
    return f" of class '{name}'" if name else ""
