"""Class accuracy from the attributes of the sample id."""

import numpy as np
import pandas as pd
import pytest

from difflab.sd3.scoring.accuracy import classify, expected_classes, has_digits, share_correct
from fakes.study_results import Extractor, Store, picture


def test_the_class_is_the_one_true_column():
    attributes = Store().attributes
    assert has_digits(attributes)
    assert expected_classes(attributes).tolist() == [i % 10 for i in range(40)]
    assert expected_classes(attributes, ["Photo_Cat", "Photo_Coffee"]).tolist() == [i % 2 for i in range(40)]


def test_rows_with_no_or_several_classes_have_none():
    frame = pd.DataFrame({"A": [True, False, True], "B": [False, False, True]})
    assert expected_classes(frame, ["A", "B"]).tolist() == [0, -1, -1]


def test_faces_have_no_digits():
    assert not has_digits(pd.DataFrame({"Male": [True], "Smiling": [False]}))


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_the_vision_encoder_names_both_classes_in_order(batch_size):
    images = []
    for digit in (3, 8, 0, 5):
        image = picture(str(digit))
        image[0, 0, 0] = digit
        images.append(image)
    digits, photos = classify(images, Extractor(), batch_size)
    assert digits.tolist() == [3, 8, 0, 5]
    assert photos.tolist() == [1, 0, 0, 1]


def test_accuracy_counts_samples_with_a_class_only():
    assert share_correct(np.array([1, 2, 3, 4]), np.array([1, 2, 0, -1])) == pytest.approx(2 / 3)
    assert share_correct(np.array([1]), np.array([-1])) is None
