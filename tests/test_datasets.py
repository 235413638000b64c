"""The data sets of the studies, found by the columns of an attribute table or by texts."""

import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError
from difflab.datasets import KNOWN, class_sets_of, data_set_of
from difflab.images.facts.celeba_facts import CELEBA
from difflab.miniature.data.vocabulary import MINIATURE


@pytest.mark.parametrize("data_set", KNOWN, ids=lambda data_set: data_set.name)
def test_a_table_is_known_by_its_columns_in_any_order_among_others(data_set):
    assert data_set_of(["file", *reversed(data_set.columns)]) is data_set


def test_pictures_without_attributes_have_neither_facts_nor_classes():
    own = data_set_of([])
    assert own.sentences({}) == []
    assert own.facts_kept("A tie.", {}) == (0, 0)
    assert (own.contradictions, own.class_sets, own.people) == ((), (), False)


def test_attributes_of_no_known_data_set_are_told_by_their_names():
    """Also where a data set has one of that name; nothing can be judged by them, for they say nothing of classes."""
    own = data_set_of(["in_the_snow", "Smiling"])
    assert own.sentences({"in_the_snow": True, "Smiling": False}) == ["In the snow."]
    assert own.facts_kept("A dog in the snow.", {"in_the_snow": True, "Smiling": True}) == (1, 2)
    assert own.facts_kept("In the snowstorm", {"in_the_snow": True, "Smiling": False}) == (0, 1)
    assert own.class_sets == ()
    assert own.class_accuracy({"a": "Three."}, pd.DataFrame({"Smiling": [True]}, index=["a"])) == {}


def test_a_table_that_lacks_a_column_of_its_data_set_is_refused():
    with pytest.raises(DifflabError, match=r"lacks the column Young of celeba: it must have all 40"):
        data_set_of([name for name in CELEBA.columns if name != "Young"])


def test_texts_are_known_by_the_classes_that_they_name():
    assert class_sets_of(["Three over a Cat", "Strawberry Cake"]) == MINIATURE.class_sets
    assert class_sets_of(["Handwritten Three", "Three or Four"]) == ()
    assert class_sets_of([]) == ()
