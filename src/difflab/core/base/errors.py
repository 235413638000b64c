"""Errors that a person can act on."""

import difflib
import errno
import os
import re
import unicodedata
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path


class DifflabError(Exception):
    """A problem with an input, a parameter or the machine.

    The message is one line that names the thing and the remedy; a stage prints it without a traceback.
    """


class Unreadable(DifflabError):
    """Bytes that are not what they should be; the message starts with "unreadable: <name> (<reason>)"."""


class Interrupted(DifflabError):
    """Ctrl-C arrived and the state was saved; the same command goes on from there."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What follows a wrong name in a message: "; did you mean 'x' or 'y'?", or nothing where none is near."""
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


NO_SPACE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is larger than allowed here (ulimit -f)",
}
_PLACES = {  # errors of opening, making or renaming one path
    errno.ENOENT: "{0} is missing: `dvc status` names what else is, `dvc checkout` or `dvc repro` puts results back",
    errno.EACCES: "{0} may not be read or written: `ls -ld {0}` shows whose it is; give it to yourself, then run again",
    errno.EPERM: "{0} may not be changed: `ls -ld {0}` shows whose it is; give it to yourself, then run again",
    errno.EROFS: "{0} is on a disk that is mounted read-only: name another place, or work in a copy elsewhere",
    errno.EISDIR: "{0} is a folder where a file is needed: move it away, then run again",
    errno.ENOTDIR: "{0} lies in a file where a folder is needed: move that file away, then run again",
    errno.EBUSY: "{0} is mounted as a file of its own, which cannot be replaced: unmount it, then run again",
    errno.EEXIST: "{0} is a file where a folder is needed: move it away, then run again",
}
_DAMAGED = {"SafetensorError", "ArrowInvalid", "JSONDecodeError", "BadZipFile", "UnidentifiedImageError"}
_UNREADABLE = {"ParserError", "ScannerError", "ComposerError", "ConstructorError", "DuplicateKeyError", "ReaderError"}

_MODEL_FILES = ("Unable to load weights", "It looks like the config file", "Error no file named", "Can't load")


@contextmanager
def reading(name: str | Path, remedy: str = "", kind: type[Unreadable] = Unreadable) -> Generator[None]:
    """Whatever a library raises over damaged bytes in this block becomes `kind`; keep the block small.

    Libraries document few of the exceptions that damage leads to (struct.error, KeyError, RecursionError, ...). What is
    wrong with a path or the disk stays as it is.

    Args:
        name: of what is read.
        remedy: what the message ends with.
    """
    try:
        yield
    except DifflabError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in {*NO_SPACE, *_PLACES}:
            raise
        raise kind(f"unreadable: {printable(name)} ({_reason(error)})" + (remedy and f": {remedy}")) from None


def printable(text: object) -> str:
    """A text in one line, control characters escaped: names out of archives hold anything."""
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(text))


def _reason(error: Exception) -> str:
    text = " ".join(printable(re.sub(r" ?<?[\w.]+ object at 0x[0-9a-f]+>?", "", str(error))).split())
    return text[:200] or ("not enough memory" if isinstance(error, MemoryError) else type(error).__name__)


def one_line(error: BaseException) -> str | None:
    """What a person can do about an error of a library; None where only its traceback helps.

    Errors are known by name, so that no library is imported for it.
    """
    if isinstance(error, DifflabError):
        return printable(error)  # it may name what a person wrote
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind in _DAMAGED:
        return f"a file is damaged ({kind}: {text}): `dvc status` names it, `dvc checkout` puts it back"
    if kind in _UNREADABLE:
        return f"a YAML file cannot be read: {text}"
    if isinstance(error, OSError) and text.startswith(_MODEL_FILES):
        return f"a model cannot be loaded: {text.split(' Please')[0].rstrip('.')}: `dvc checkout` puts its files back"
    if kind == "OSError" and "checksum verification failed" in text:
        return f"a file is damaged ({text}): `dvc status` names it, `dvc checkout` puts it back"
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        where = f" ({error.filename})" if error.filename else ""
        return f"{NO_SPACE[error.errno]}{where}: free some space, then run again"
    if isinstance(error, OSError) and error.errno in _PLACES and error.filename:
        return _PLACES[error.errno].format(os.fsdecode(error.filename))
    return None
