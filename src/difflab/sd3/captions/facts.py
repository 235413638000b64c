"""What the attributes say of a picture, as sentences: a pure function, for both attribute tables."""

from collections.abc import Collection
from functools import cache
from typing import Literal

from difflab.core.base.errors import DifflabError
from difflab.images.facts import celeba_facts
from difflab.images.facts.fact import Attributes, Contradiction, Fact
from difflab.miniature.words import digit_facts

Subjective = Literal["keep", "drop"]


def facts(attributes: Attributes, subjective: Subjective = "keep") -> list[str]:
    """The facts of one row of attributes, in a fixed order, without those a contradiction drops.

    Args:
        attributes: every column of the table with its truth; the columns decide which table it is.
        subjective: "drop" leaves out opinions about a person (Attractive, Chubby, Young).

    Raises:
        DifflabError: the columns belong to neither table.
    """
    return [fact.sentence for fact in told(attributes, subjective)]


def told(attributes: Attributes, subjective: Subjective = "keep") -> list[Fact]:
    """The facts behind `facts`, with the patterns that find them in a caption."""
    table, rules, opinions = _tables(tuple(attributes))
    dropped = {name for rule in rules if rule.found(attributes) for name in rule.dropped}
    if subjective == "drop":
        dropped.update(opinions)
    return [fact for fact in table if fact.attribute not in dropped and fact.holds(attributes)]


def contradictions(attributes: Attributes) -> list[str]:
    """The names of the ways in which the row contradicts itself; empty for a consistent row."""
    return [rule.name for rule in _tables(tuple(attributes))[1] if rule.found(attributes)]


def contradiction_names(columns: Collection[str]) -> list[str]:
    """Every contradiction that rows with these columns can have, for metrics that also show zeros."""
    return [rule.name for rule in _tables(tuple(columns))[1]]


@cache
def _tables(columns: tuple[str, ...]) -> tuple[tuple[Fact, ...], tuple[Contradiction, ...], tuple[str, ...]]:
    if "Digit_0" in columns:
        return (
            digit_facts.facts_of(columns),
            digit_facts.contradictions_of(columns),
            digit_facts.SUBJECTIVE,
        )
    if "Male" in columns:
        missing = sorted({fact.attribute.removeprefix("not ") for fact in celeba_facts.FACTS} - set(columns))
        if missing:
            raise DifflabError(
                f"the attribute table lacks the CelebA column {missing[0]}: it must have all 40"
            )
        return celeba_facts.FACTS, celeba_facts.CONTRADICTIONS, celeba_facts.SUBJECTIVE
    raise DifflabError(
        "the attributes are neither CelebA's 40 nor the miniature's: no Male and no Digit_0 column"
    )
