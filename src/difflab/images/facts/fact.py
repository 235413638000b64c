"""One fact of a picture and one rule about facts that cannot both be true."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Attributes = Mapping[str, bool]


@dataclass(frozen=True)
class Fact:
    """A true attribute in words.

    Attributes:
        attribute: the column that must be true, or `not <column>` that must be false.
        sentence: the fact as a language model reads it.
        pattern: a regular expression that a caption matches (in lower case) when it keeps the fact.
    """

    attribute: str
    sentence: str
    pattern: str

    def holds(self, attributes: Attributes) -> bool:
        name = self.attribute.removeprefix("not ")
        return bool(attributes[name]) != self.attribute.startswith("not ")


@dataclass(frozen=True)
class Contradiction:
    """Attributes that exclude each other: when `found`, the facts of `dropped` are not told.

    Attributes:
        name: how the metrics name it.
        found: whether a row of attributes contradicts itself in this way.
        dropped: the attributes (as in `Fact.attribute`) that are then left out.
    """

    name: str
    found: Callable[[Attributes], bool]
    dropped: tuple[str, ...]


def all_of(*names: str) -> Callable[[Attributes], bool]:
    return lambda attributes: all(attributes[n] for n in names)
