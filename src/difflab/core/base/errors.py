"""Errors that a person can act on."""

import difflib
import errno
from collections.abc import Iterable


class DifflabError(Exception):
    """A problem with an input, a parameter or the machine.

    The message is one line that names the thing and the remedy; a stage prints it without a traceback.
    """


class Interrupted(DifflabError):
    """Ctrl-C arrived and the state was saved; the same command goes on from there."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What follows a wrong name in a message: "; did you mean 'x' or 'y'?", or nothing where none is near."""
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


_NO_SPACE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is larger than allowed here (ulimit -f)",
}
_DAMAGED = {"SafetensorError", "ArrowInvalid", "JSONDecodeError", "BadZipFile", "UnidentifiedImageError"}
_UNREADABLE = {"ParserError", "ScannerError", "ComposerError", "ConstructorError", "DuplicateKeyError", "ReaderError"}

_MODEL_FILES = ("Unable to load weights", "It looks like the config file", "Error no file named", "Can't load")


def one_line(error: BaseException) -> str | None:
    """What a person can do about an error of a library; None where only its traceback helps.

    Errors are known by name, so that no library is imported for it.
    """
    if isinstance(error, DifflabError):
        return str(error)
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind in _DAMAGED:
        return f"a file is damaged ({kind}: {text}): `dvc status` names it, `dvc checkout` puts it back"
    if kind in _UNREADABLE:
        return f"a YAML file cannot be read: {text}"
    if isinstance(error, OSError) and text.startswith(_MODEL_FILES):
        return f"a model cannot be loaded: {text.split(' Please')[0].rstrip('.')}: `dvc checkout` puts its files back"
    if kind == "OSError" and "checksum verification failed" in text:
        return f"a file is damaged ({text}): `dvc status` names it, `dvc checkout` puts it back"
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        where = f" ({error.filename})" if error.filename else ""
        return f"{_NO_SPACE[error.errno]}{where}: free some space, then run again"
    return None
