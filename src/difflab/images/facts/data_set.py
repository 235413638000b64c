"""What a data set knows of its pictures: their facts, which of them are opinions or contradict, and their classes."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.core.base.negation import affirms

if TYPE_CHECKING:
    import pandas as pd

Attributes = Mapping[str, bool]
Subjective = Literal["keep", "drop"]


@dataclass(frozen=True)
class Fact:
    """A true attribute in words."""

    attribute: str  # the column that must be true, or `not <column>` that must be false
    sentence: str  # the fact as a language model reads it
    pattern: str  # a regular expression that a caption matches (in lower case), undenied, when it keeps the fact

    def holds(self, attributes: Attributes) -> bool:
        return bool(attributes[self.attribute.removeprefix("not ")]) != self.attribute.startswith("not ")

    def kept(self, caption: str) -> bool:
        """Whether the caption says so; what it denies (`negation`) it does not say."""
        return affirms(self.pattern, caption)


@dataclass(frozen=True)
class Contradiction:
    """Attributes that exclude each other."""

    name: str  # in metrics
    found: Callable[[Attributes], bool]  # whether a row contradicts itself in this way
    dropped: tuple[str, ...]  # the attributes (as in `Fact.attribute`) that are then not told


def named_facts(columns: Iterable[str]) -> tuple[Fact, ...]:
    """The facts of attributes that are known by their names alone: `wearing_a_hat` is told as "Wearing a hat."."""
    words = {name: unicodedata.normalize("NFC", " ".join(name.replace("_", " ").split())) for name in columns}
    return tuple(
        Fact(name, f"{text[:1].upper()}{text[1:]}.", rf"(?<![\w-]){re.escape(text.lower())}(?![\w-])")
        for name, text in words.items()
    )


def all_of(*names: str) -> Callable[[Attributes], bool]:
    return lambda attributes: all(attributes[n] for n in names)


@dataclass(frozen=True)
class ClassSet:
    """Classes of which a picture shows one at most, numbered in the order of `columns`."""

    name: str  # in metrics (`<name>_accuracy`), and of the vision encoder's head that sees these classes
    columns: tuple[str, ...]  # the attribute that is true of each class
    mentions: Callable[[str], set[int]]  # the classes that a text names

    def of(self, attributes: Attributes) -> int:
        """The class of a picture, or -1 where it has none."""
        true = [number for number, name in enumerate(self.columns) if attributes.get(name, False)]
        if len(true) > 1:
            names = ", ".join(self.columns[number] for number in true)
            raise DifflabError(f"only one {self.name} may be true, not {names}: check the attribute table")
        return true[0] if true else -1

    def of_rows(self, attributes: "pd.DataFrame") -> np.ndarray:
        """`of` for each row, int64 [n]."""
        return np.array([self.of(row) for row in attributes.to_dict("records")], np.int64)

    def named(self, text: str) -> int:
        """The one class that a text names; -1 where it names none or several."""
        named = self.mentions(text)
        return named.pop() if len(named) == 1 else -1


@dataclass(frozen=True)
class Part:
    """Something that pictures show in one place, of which the archive has masks as CelebAMask-HQ has them."""

    name: str  # in metrics
    pattern: str  # a regular expression that the word for it matches in a caption (in lower case)
    masks: tuple[str, ...]  # the masks whose union it is, as the archive calls them


@dataclass(frozen=True)
class DataSet:
    """A kind of attribute table; the defaults are those of pictures of which nothing is known."""

    name: str  # its key in `split.stratify`
    facts: tuple[Fact, ...] = ()  # in the order in which they are told
    contradictions: tuple[Contradiction, ...] = ()
    subjective: tuple[str, ...] = ()  # attributes that are opinions about a person
    class_sets: tuple[ClassSet, ...] = ()  # what generated pictures and captions are judged by
    parts: tuple[Part, ...] = ()  # what attention to a word is scored by
    title_words: frozenset[str] = frozenset()  # all that titles of its pictures are made of, in lower case
    people: bool = False  # whether the pictures are of real people, who are not shown in reports unless asked for

    @property
    def columns(self) -> list[str]:
        """The attributes that its facts tell, each once, in the order of the facts."""
        return list(dict.fromkeys(fact.attribute.removeprefix("not ") for fact in self.facts))

    def told(self, attributes: Attributes, subjective: Subjective = "keep") -> list[Fact]:
        """The facts of a picture, without those that a contradiction drops and, where told so, without opinions."""
        dropped = {name for rule in self.contradictions if rule.found(attributes) for name in rule.dropped}
        if subjective == "drop":
            dropped.update(self.subjective)
        return [fact for fact in self.facts if fact.attribute not in dropped and fact.holds(attributes)]

    def sentences(self, attributes: Attributes, subjective: Subjective = "keep") -> list[str]:
        """The facts of a picture in words."""
        return [fact.sentence for fact in self.told(attributes, subjective)]

    def contradicted(self, attributes: Attributes) -> list[str]:
        """The names of the contradictions in a row of attributes."""
        return [rule.name for rule in self.contradictions if rule.found(attributes)]

    def facts_kept(self, caption: str, attributes: Attributes, subjective: Subjective = "keep") -> tuple[int, int]:
        """How many of the facts of a picture its caption keeps: (kept, total)."""
        told = self.told(attributes, subjective)
        return sum(fact.kept(caption) for fact in told), len(told)

    def is_title(self, text: str) -> bool:
        """Whether a text names one class of each set, in the words of such titles alone.

        "Three over Coffee" is a title of the miniature, "Three-Bean Chili" and "Seven Coffee Cakes" are none.
        """
        named = bool(self.class_sets) and all(classes.named(text) >= 0 for classes in self.class_sets)
        return named and self.title_words.issuperset(re.findall(r"\w+", text.lower()))

    def class_accuracy(
        self, captions: Mapping[str, str], attributes: "pd.DataFrame", measure: str = "accuracy"
    ) -> dict[str, float]:
        """`<class set>_<measure>`: the shares of captions (by id) that name their picture's class, and no other.

        Pictures without a class are left out. `attributes` is a bool table by id with a row for each caption.
        """
        rows, shares = attributes.loc[list(captions)], {}
        for classes in self.class_sets:
            expected = classes.of_rows(rows)
            named = np.array([classes.named(caption) for caption in captions.values()], np.int64)
            if (known := expected >= 0).any():
                shares[f"{classes.name}_{measure}"] = float((named == expected)[known].mean())
        return shares
