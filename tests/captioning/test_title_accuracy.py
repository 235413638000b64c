"""Pictures against their titles: what is named is looked for, what is not named is not asked."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from difflab.captioning.title_accuracy import title_accuracy
from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.vocabulary import MINIATURE

TITLES = [
    "Handwritten Three over Coffee",
    "A Rocket under a Nine",
    "Soup of the day",
    "the Number 4",
    "Three or Four Coins",
]


class Extractor:
    """Sees the digit in a picture's red level and the photograph in its green one."""

    def __init__(self):
        self.classes = {classes.name: classes.columns for classes in MINIATURE.class_sets}

    def vision_encoder(self, pixels):
        return {"digit": one_hot(pixels[:, 0], 10), "photo": one_hot(pixels[:, 1], 12)}

    def tensor(self, images):
        return torch.from_numpy(images[:, 0, 0].astype(np.int64))


def picture(digit: int, photo: str) -> np.ndarray:
    return np.full((4, 4, 3), (digit, PHOTO_NAMES.index(photo), 0), np.uint8)


def test_shares_are_of_the_titles_that_name():
    images = [picture(3, "Coffee"), picture(9, "Cat"), picture(0, "Cat"), picture(5, "Cat"), picture(0, "Coins")]
    values = title_accuracy(images, TITLES, Extractor())
    assert values == {
        "digit_accuracy": pytest.approx(2 / 3),
        "photo_accuracy": pytest.approx(2 / 3),
        "both_accuracy": pytest.approx(1 / 2),
    }


def test_titles_of_recipes_are_not_judged():
    assert title_accuracy([picture(3, "Cat")], ["Almond Horchata"], Extractor()) == {}


def test_a_vision_encoder_without_heads_judges_nothing():
    extractor = Extractor()
    extractor.classes = {}
    assert title_accuracy([picture(3, "Cat")], TITLES[:1], extractor) == {}
