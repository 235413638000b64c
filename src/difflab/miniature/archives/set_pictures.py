"""The pictures of the miniature's image sets: crops of the photographs, enlarged digits, digits over photographs.

They stand for CIFAR-10, MNIST, a set of scenes, COCO and recipes. What is held out was never seen in training:
test crops come from another region of the photograph, test digits are other digits, no two scenes share a pixel.
"""

import numpy as np

from difflab.core.base import rng as keyed
from difflab.miniature.data.blend import PHOTO_NAMES, Composite, compose_many
from difflab.miniature.data.bundled import SEED
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.sources import digits, enlarged, photos

CROP_SIDE, TRAIN_CROPS, TEST_CROPS = 32, 150, 30  # pixels; crops of each class
TEST_DIGITS = 300
CAPTIONED = 40
TITLED_SIDE, TITLED_PER_PAIR = 32, 11  # pixels; titled pictures of each digit over each photograph
CANVASES = ((96, 96), (96, 128), (128, 96))  # (height, width) of the captioned pictures

Box = tuple[float, float, float, float]


CLASSES: dict[str, tuple[Box, Box]] = {
    "Astronaut": ((0.1, 0, 0.7, 0.56), (0.08, 0.56, 0.62, 1)),
    "Cat": ((0, 0, 0.55, 1), (0.55, 0.05, 0.88, 1)),
    "Coffee": ((0.08, 0, 0.52, 1), (0.52, 0, 0.82, 1)),
    "Coins": ((0, 0, 0.64, 1), (0.64, 0, 1, 1)),
    "Flower": ((0.18, 0, 0.5, 1), (0.5, 0.1, 0.74, 0.9)),
    "Galaxies": ((0, 0, 0.64, 1), (0.64, 0, 1, 1)),
    "Motorcycle": ((0.08, 0.1, 0.6, 1), (0.6, 0.2, 0.95, 1)),
    "Retina": ((0, 0.05, 0.64, 0.95), (0.64, 0.05, 1, 0.95)),
    "Rocket": ((0.32, 0.1, 0.68, 0.62), (0.38, 0.62, 0.62, 1)),
    "Temple": ((0.05, 0, 0.37, 1), (0.37, 0.1, 0.6, 1)),
}
"""The ten photographs that stand for CIFAR-10's classes, and the disjoint parts that train and test crops come from:
left, top, right, bottom as shares of their sides."""


def crops(split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The crops of train (1,500) or test (300), as many of each class, in random order.

    Images uint8 [n, 32, 32, 3] and labels uint8 [n].
    """
    count = TRAIN_CROPS if split == "train" else TEST_CROPS
    order = keyed.numpy_rng(seed, "bundled cifar10 order", split).permutation(count * len(CLASSES))
    names = list(CLASSES)
    images = [_crop(names[n // count], split, n % count, seed) for n in order.tolist()]
    return np.stack(images), (order // count).astype(np.uint8)


def _crop(name: str, split: str, number: int, seed: int) -> np.ndarray:
    """A random square of a class's region, half to all of its short side, mirrored half the time."""
    from PIL import Image

    draw = keyed.numpy_rng(seed, "bundled cifar10", name, split, number)
    left, top, right, bottom = _pixels(name, CLASSES[name][split == "test"])
    side = int(min(right - left, bottom - top) * draw.uniform(0.5, 1))
    x, y = (int(low + draw.integers(high - low - side + 1)) for low, high in ((left, right), (top, bottom)))
    square = Image.fromarray(photos()[name][y : y + side, x : x + side])
    image = np.asarray(square.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0))
    return image[:, ::-1] if draw.random() < 0.5 else image


def _pixels(name: str, box: Box) -> tuple[int, int, int, int]:
    height, width, _ = photos()[name].shape
    return tuple(round(share * length) for share, length in zip(box, (width, height) * 2, strict=True))


def large_digits(split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The digits of train (1,497) or test (300), every digit once, enlarged to 20 pixels in the middle of 28.

    Images uint8 [n, 28, 28] and labels uint8 [n].
    """
    order = keyed.numpy_rng(seed, "bundled mnist").permutation(len(digits().labels))
    chosen = order[:-TEST_DIGITS] if split == "train" else order[-TEST_DIGITS:]
    strokes = np.clip((enlarged(digits().images[chosen], 2.5) - 0.3) / 0.4, 0, 1)  # as even as MNIST's
    images = np.rint(255 * np.pad(strokes, ((0, 0), (4, 4), (4, 4)))).astype(np.uint8)
    return images, digits().labels[chosen].astype(np.uint8)


def scenes(seed: int) -> list[np.ndarray]:
    """Five disjoint parts of every photograph, uint8 [H, W, 3] with sides of 96 to 160 pixels, in random order."""
    order = keyed.numpy_rng(seed, "bundled scenes order").permutation(5 * len(PHOTO_NAMES))
    return [_scene(PHOTO_NAMES[n // 5], n % 5, seed) for n in order.tolist()]


def scene_box(part: int) -> Box:
    """Where a part lies: three side by side in the upper half of the photograph, two in the lower."""
    columns, column, row = (3, part, 0) if part < 3 else (2, part - 3, 1)
    return column / columns, row / 2, (column + 1) / columns, (row + 1) / 2


def _scene(name: str, part: int, seed: int) -> np.ndarray:
    from PIL import Image

    left, top, right, bottom = _pixels(name, scene_box(part))
    longest = keyed.numpy_rng(seed, "bundled scene", name, part).integers(144, 161)
    scale = longest / max(right - left, bottom - top)
    size = (max(96, round((right - left) * scale)), max(96, round((bottom - top) * scale)))
    whole = Image.fromarray(photos()[name][top:bottom, left:right])
    return np.asarray(whole.resize(size, Image.Resampling.LANCZOS))


def captioned(seed: int) -> list[Composite]:
    """Forty digits, four of each, over photographs; the digit stands in the middle of images that are not square."""
    draws = [keyed.numpy_rng(seed, "bundled coco", n) for n in range(CAPTIONED)]
    chosen = [draw.choice(np.flatnonzero(digits().labels == n % 10)) for n, draw in enumerate(draws)]
    names = [PHOTO_NAMES[(n + n // 10) % len(PHOTO_NAMES)] for n in range(CAPTIONED)]
    canvases = [CANVASES[n % len(CANVASES)] for n in range(CAPTIONED)]
    return compose_many(chosen, names, draws, canvases, [abs(height - width) // 2 for height, width in canvases])


def titled(seed: int) -> list[tuple[Composite, str]]:
    """1,320 pictures of 32 x 32, each with one of its titles, in random order.

    Eleven show every digit over every photograph; no handwritten digit and no title comes twice.
    """
    pairs = [(digit, name) for digit in range(10) for name in PHOTO_NAMES]
    rows = _titled_digits(seed)
    names = [name for _, name in pairs for _ in range(TITLED_PER_PAIR)]
    rngs = [keyed.numpy_rng(seed, "bundled recipe", row) for row in rows]
    pictures = compose_many(rows, names, rngs, [(TITLED_SIDE, TITLED_SIDE)] * len(rows))
    chosen: list[str] = []
    for pair in pairs:
        shuffled = keyed.numpy_rng(seed, "bundled recipe titles", *pair).permutation(titles(*pair))
        chosen += shuffled[:TITLED_PER_PAIR].tolist()
    order = keyed.numpy_rng(seed, "bundled recipes order").permutation(len(rows))
    return [(pictures[n], chosen[n]) for n in order.tolist()]


def untitled_digits(seed: int = SEED) -> np.ndarray:
    """The handwritten digits (rows of `digits()`, ascending) of no titled picture, for a model that is to make more."""
    return np.setdiff1d(np.arange(len(digits().labels)), _titled_digits(seed))


def _titled_digits(seed: int) -> list[int]:
    """The handwritten digits (rows of `digits()`) of the titled pictures, those of a zero first."""
    rows: list[int] = []
    for digit in range(10):
        rng = keyed.numpy_rng(seed, "bundled recipe digits", digit)
        rows += rng.permutation(np.flatnonzero(digits().labels == digit))[: TITLED_PER_PAIR * len(PHOTO_NAMES)].tolist()
    return rows
