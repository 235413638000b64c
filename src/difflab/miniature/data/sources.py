"""The real images that ship inside ordinary dependencies: digits and photographs. Nothing is downloaded."""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PHOTO_FILES = {
    "Astronaut": ("skimage", "data/astronaut.png"),
    "Bricks": ("skimage", "data/brick.png"),
    "Cat": ("skimage", "data/chelsea.png"),
    "Coffee": ("skimage", "data/coffee.png"),
    "Coins": ("skimage", "data/coins.png"),
    "Flower": ("sklearn", "datasets/images/flower.jpg"),
    "Galaxies": ("skimage", "data/hubble_deep_field.jpg"),
    "Motorcycle": ("skimage", "data/motorcycle_left.png"),
    "Retina": ("skimage", "data/retina.jpg"),
    "Rocket": ("skimage", "data/rocket.jpg"),
    "Temple": ("sklearn", "datasets/images/china.jpg"),
    "Tissue": ("skimage", "data/ihc.png"),
}


@dataclass(frozen=True)
class Digits:
    """Handwritten digits (UCI optical recognition, test part).

    Attributes:
        images: float32 [1797, 8, 8] in 0..1, light strokes on black.
        labels: int64 [1797], 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


@cache
def digits() -> Digits:
    """The 1,797 digits of scikit-learn, in its order."""
    with gzip.open(_file("sklearn", "datasets/data/digits.csv.gz"), "rt") as lines:
        table = np.array([line.split(",") for line in lines], dtype=np.float32)
    images = (table[:, :64] / 16).reshape(-1, 8, 8)
    return Digits(images=images, labels=table[:, 64].astype(np.int64))


def enlarged(images: np.ndarray, factor: float) -> np.ndarray:
    """Digits [n, h, w] enlarged by a cubic spline: float64, the same on every processor.

    The spline's coefficients are rounded to 1 / 4096 (none lies within 0.009 of a tie) and digits have 16 levels, so
    that the products need 30 bits of 53 and the order of the sums does not matter.
    """
    from scipy import ndimage

    identity = np.eye(images.shape[1])
    spline = ndimage.zoom(identity, (factor, 1), order=3, grid_mode=True, mode="grid-constant")
    spline = np.rint(4096 * spline) / 4096
    return spline @ images.astype(np.float64) @ spline.T


@cache
def photos() -> dict[str, np.ndarray]:
    """The twelve photographs by name, uint8 [H, W, 3]; grey ones have three equal channels."""
    return {name: _read(package, file) for name, (package, file) in PHOTO_FILES.items()}


def _read(package: str, file: str) -> np.ndarray:
    from PIL import Image

    # Not by the decoder: the miniature is defined by these values, and one photograph (Rocket) carries Adobe RGB.
    return np.asarray(Image.open(_file(package, file)).convert("RGB"))


def _file(package: str, file: str) -> Path:
    """A file inside an installed package, found without importing the package (which takes a second)."""
    spec = find_spec(package)
    assert spec is not None, package
    return Path(str(spec.origin)).parent / file
