"""Which split a folder's name says, by one rule for every format.

A name of such a word alone says it, also with what usually stands beside it (`val2017`, `images_test`). So does any name
with the word between marks whose like for another split is there: `seg_train` and `seg_test`, `DIV2K_train_HR` and
`DIV2K_valid_HR`. Alone `crash_test` may be anything.

Image sets have two splits. What is called test is the test split; where nothing is, what is called validation. Where both
are there, the validation images are passed over: they are neither trained on nor scored.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

T = TypeVar("T")
_WORDS = {
    "train": "train|training|train[-_ ]?val|restval",
    "test": "tests?|testing|eval|evaluation|hold[-_ ]?out|held[-_ ]?out|test[-_ ]?dev|dev[-_ ]?test",
    "val": "val|valid|validate|validation|dev|development|mini[-_ ]?val",
}
_BESIDE = r"\d|set|split|data|images?|imgs?|pictures|part|\(\d\)|copy"  # what stands beside such a word
_NAMES = {
    split: re.compile(rf"(({_BESIDE})[-_ ]*)*({words})((?-i:[AB])|[-_ ]*({_BESIDE}))*", re.IGNORECASE)
    for split, words in _WORDS.items()
}
_WITHIN = {split: re.compile(rf"(?<![^\W\d_])({words})(?![^\W\d_])", re.IGNORECASE) for split, words in _WORDS.items()}
PASSED_OVER = "validation, beside a test split"


def split_named(name: str) -> str | None:
    """train, test or val by a name such as `Validation`, `val2017`, `images_test` or `testA`; None where it names none."""
    return next((split for split, pattern in _NAMES.items() if pattern.fullmatch(name)), None)


def splits_of(paths: Iterable[str]) -> dict[str, str]:
    """The split that the deepest folder with a split's name says, of files by their paths in an archive; some have none."""
    parts = {path: PurePosixPath(path).parts[:-1] for path in paths}
    folders = {folder for parents in parts.values() for folder in parents}
    known = _paired(folders) | {folder: split for folder in folders if (split := split_named(folder))}
    found = {path: [known[folder] for folder in parents if folder in known] for path, parents in parts.items()}
    return {path: splits[-1] for path, splits in found.items() if splits}


def _paired(folders: Iterable[str]) -> dict[str, str]:
    """The splits of those names that differ from another in the word of a split alone."""
    alike: dict[tuple[str, str], dict[str, list[str]]] = {}
    for folder in folders:
        for split, pattern in _WITHIN.items():
            for word in pattern.finditer(folder):
                around = folder[: word.start()].casefold(), folder[word.end() :].casefold()
                alike.setdefault(around, {}).setdefault(split, []).append(folder)
    return {
        folder: split
        for found in alike.values()
        if len(found) > 1
        for split, names in found.items()
        for folder in names
    }


def two_splits(found: dict[str, list[T]], archive: "Archive", files: dict[str, list[str]]) -> dict[str, list[T]]:
    """Of what was found by split (train, test, val) the splits train and test; `files` name it where it is passed over."""
    found = {split: items for split, items in found.items() if items}
    if "val" in found and "test" not in found:
        found["test"] = found.pop("val")
    elif "val" in found:
        del found["val"]
        archive.pass_over(PASSED_OVER, files["val"])
    return found
