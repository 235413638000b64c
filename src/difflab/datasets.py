"""The data sets that the studies know. Nothing else of a study has to do with the miniature."""

from collections.abc import Iterable

from difflab.core.base.errors import DifflabError
from difflab.images.facts.celeba_facts import CELEBA
from difflab.images.facts.data_set import ClassSet, DataSet, named_facts
from difflab.miniature.data.vocabulary import MINIATURE

KNOWN = (CELEBA, MINIATURE)


def data_set_of(columns: Iterable[str]) -> DataSet:
    """The data set of an attribute table, found by its columns.

    Where fewer than half of any data set's are there, they are a person's own attributes, told by their names: a data set
    without classes, in which nothing can be judged by them.
    """
    columns = list(columns)
    present = set(columns)
    found = max(KNOWN, key=lambda data_set: len(present.intersection(data_set.columns)))
    missing = [name for name in found.columns if name not in present]
    if 2 * len(missing) > len(found.columns):
        return DataSet("folder", named_facts(columns))
    if missing:
        raise DifflabError(
            f"the attribute table lacks the column {missing[0]} of {found.name}: it must have all {len(found.columns)}"
        )
    return found


def class_sets_of(titles: Iterable[str]) -> tuple[ClassSet, ...]:
    """The class sets of the data set of which a third of the titles are (`DataSet.is_title`). Empty: of none.

    A language model that varies titles may stray; titles of anything else are hardly ever made of those words alone.
    """
    titles = list(titles)
    for data_set in KNOWN:
        if titles and 3 * sum(map(data_set.is_title, titles)) >= len(titles):
            return data_set.class_sets
    return ()
