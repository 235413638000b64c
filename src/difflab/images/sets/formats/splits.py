"""Which split a folder's name says, by one rule for every format.

Image sets have two splits. What is called test is the test split; where nothing is, what is called validation. Where both
are there, the validation images are passed over: they are neither trained on nor scored.
"""

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

T = TypeVar("T")
_WORDS = {
    "train": "train|training",
    "test": "test|testing|eval|evaluation|hold[-_ ]?out|held[-_ ]?out",
    "val": "val|valid|validation|dev|development",
}
_BESIDE = r"\d|set|split|data|images?|imgs?|pictures|part|\(\d\)|copy"  # what stands beside such a word
_NAMES = {
    split: re.compile(rf"(({_BESIDE})[-_ ]*)*({words})((?-i:[AB])|[-_ ]*({_BESIDE}))*", re.IGNORECASE)
    for split, words in _WORDS.items()
}
PASSED_OVER = "validation, beside a test split"


def split_named(name: str) -> str | None:
    """train, test or val by a name such as `Validation`, `val2017`, `images_test` or `testA`; None where it names none."""
    return next((split for split, pattern in _NAMES.items() if pattern.fullmatch(name)), None)


def split_of(path: str) -> str | None:
    """The split that the deepest folder with a split's name says, of a file's path in an archive."""
    named = map(split_named, reversed(PurePosixPath(path).parts[:-1]))
    return next((split for split in named if split is not None), None)


def two_splits(found: dict[str, list[T]], archive: "Archive", files: dict[str, list[str]]) -> dict[str, list[T]]:
    """Of what was found by split (train, test, val) the splits train and test; `files` name it where it is passed over."""
    found = {split: items for split, items in found.items() if items}
    if "val" in found and "test" not in found:
        found["test"] = found.pop("val")
    elif "val" in found:
        del found["val"]
        archive.pass_over(PASSED_OVER, files["val"])
    return found
