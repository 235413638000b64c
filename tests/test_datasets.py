"""The data sets of the studies, found by the columns of an attribute table or by texts."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.datasets import KNOWN, class_sets_of, data_set_of
from difflab.images.facts.celeba_facts import CELEBA
from difflab.miniature.data.vocabulary import MINIATURE


@pytest.mark.parametrize("data_set", KNOWN, ids=lambda data_set: data_set.name)
def test_a_table_is_known_by_its_columns_in_any_order_among_others(data_set):
    assert data_set_of(["file", *reversed(data_set.columns)]) is data_set


def test_pictures_without_attributes_have_neither_facts_nor_classes():
    for columns in ([], ["Striped"]):
        own = data_set_of(columns)
        assert own.sentences({"Striped": True}) == []
        assert own.facts_kept("A tie.", {}) == (0, 0)
        assert (own.contradictions, own.class_sets) == ((), ())


def test_a_table_that_lacks_a_column_of_its_data_set_is_refused():
    with pytest.raises(DifflabError, match=r"lacks the column Young of celeba: it must have all 40"):
        data_set_of([name for name in CELEBA.columns if name != "Young"])


def test_texts_are_known_by_the_classes_that_they_name():
    assert class_sets_of(["Three over a Cat", "Strawberry Cake"]) == MINIATURE.class_sets
    assert class_sets_of(["Handwritten Three", "Three or Four"]) == ()
    assert class_sets_of([]) == ()
