"""Classes of pictures and of texts."""

import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import numbers_in
from difflab.images.facts.data_set import ClassSet

CLASSES = ClassSet("count", ("None", "One", "Two"), numbers_in)


def test_the_class_of_a_picture_is_its_one_true_column():
    table = pd.DataFrame({"One": [True, False, False], "Two": [False, False, True], "None": False, "Big": True})
    assert CLASSES.of_rows(table).tolist() == [1, -1, 2]
    with pytest.raises(DifflabError, match="only one count may be true, not None, Two"):
        CLASSES.of({"None": True, "Two": True})


@pytest.mark.parametrize(("text", "number"), [("Two, and once more 2", 2), ("one or two", -1), ("someone", -1)])
def test_a_text_names_a_class_only_when_it_names_exactly_one(text, number):
    assert CLASSES.named(text) == number
