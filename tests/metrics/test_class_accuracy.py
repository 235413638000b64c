"""The classes that the vision encoder sees."""

import numpy as np
import pytest

from difflab.metrics.class_accuracy import classify, judged_classes, share_correct
from difflab.miniature.words.vocabulary import DIGIT, PHOTO
from fakes.study_results import Extractor, picture


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_the_vision_encoder_names_the_classes_of_every_head_in_order(batch_size):
    images = []
    for digit in (3, 8, 0, 5):
        image = picture(str(digit))
        image[0, 0, 0] = digit
        images.append(image)
    seen = classify(images, Extractor(), batch_size)
    assert {name: classes.tolist() for name, classes in seen.items()} == {"digit": [3, 8, 0, 5], "photo": [1, 0, 0, 1]}


def test_no_images_give_no_classes():
    assert {name: classes.shape for name, classes in classify([], Extractor()).items()} == {
        "digit": (0,),
        "photo": (0,),
    }


def test_only_classes_that_a_head_was_trained_on_are_judged():
    extractor = Extractor()
    assert judged_classes((DIGIT, PHOTO), extractor) == [DIGIT, PHOTO]
    extractor.classes = {"digit": DIGIT.columns, "photo": PHOTO.columns[:5]}
    assert judged_classes((DIGIT, PHOTO), extractor) == [DIGIT]
    extractor.classes = {}
    assert judged_classes((DIGIT, PHOTO), extractor) == []


def test_accuracy_counts_samples_with_a_class_only():
    assert share_correct(np.array([1, 2, 3, 4]), np.array([1, 2, 0, -1])) == pytest.approx(2 / 3)
    assert share_correct(np.array([1]), np.array([-1])) is None
