"""Real images as a floor: which are the reference, and that a floor is of equal size and classes."""

from collections import Counter

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.ddpm.floors import DRAWS, RealImages, floor, halves

CLASSES = ["cat"] * 9 + ["ship"] * 20
IMAGES = RealImages(np.arange(29.0)[:, None], CLASSES)


def test_halves_share_no_image_and_have_half_of_each_class():
    reference, rest = halves(IMAGES, seed=0)
    assert sorted([*reference.features[:, 0], *rest.features[:, 0]]) == list(range(29))
    assert Counter(reference.classes) == {"cat": 5, "ship": 10}
    assert Counter(rest.classes) == {"cat": 4, "ship": 10}


def test_features_keep_their_classes():
    for half in halves(IMAGES, seed=0):
        assert half.classes == [CLASSES[int(row)] for row in half.features[:, 0]]


def test_halves_are_random_and_the_same_for_the_same_seed():
    first, again, other = (halves(IMAGES, seed=seed)[0].features for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_floor_is_the_mean_over_draws_of_the_same_classes_as_often():
    drawn = []

    def measure(features, reference):
        drawn.append(features[:, 0].astype(int).tolist())
        return {"first": float(len(drawn)), "reference": float(reference)}

    found = floor(IMAGES, np.float64(7), ["cat", "ship", "ship"], measure, seed=0)
    assert len(drawn) == DRAWS
    for rows in drawn:
        assert Counter(CLASSES[row] for row in rows) == {"cat": 1, "ship": 2}
        assert len(set(rows)) == 3
    assert len(set(map(tuple, drawn))) > 1
    assert found == {"first": np.mean(range(1, DRAWS + 1)), "reference": 7}


@pytest.mark.parametrize(
    ("images", "wanted", "message"),
    [
        (IMAGES, ["cat"] * 10, "9 real images of class 'cat' for 10 generated ones give no floor"),
        (IMAGES, ["dog"], "0 real images of class 'dog' for 1 generated ones"),
        (RealImages(np.zeros((12, 1)), [""] * 12), [""] * 48, "^12 real images for 48 generated ones give no floor$"),
    ],
)
def test_a_floor_of_fewer_images_is_refused(images, wanted, message):
    with pytest.raises(DifflabError, match=message):
        floor(images, np.zeros((2, 1)), wanted, lambda features, reference: {}, seed=0)
