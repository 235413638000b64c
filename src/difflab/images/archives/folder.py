"""What an unpacked folder holds: by one rule for what is read, what is hashed and what is passed over.

Names are compared in Unicode's composed form (macOS stores another). Links are followed wherever they lead, and what they
lead to is hashed; those in a circle and those to nothing are passed over, and so is what systems add, what is hidden, and
what programs leave beside a file: it is a picture by its content, and one too many.
"""

import hashlib
import os
import unicodedata
from pathlib import Path, PurePosixPath

from difflab.core.base.errors import printable
from difflab.core.base.files import sha256_file

HIDDEN, TWICE = "hidden or the system's own", "second file of one name"
LEFT_BEHIND = "backup, or unfinished"
CIRCLE, BROKEN, SPECIAL, NO_TEXT = "link in a circle", "link to nothing", "no plain file", "name that is no text"
_OF_SYSTEMS = {  # in any case; what starts with a dot (.DS_Store, ._photo.jpg, .git) is hidden anyway
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found", "recycler", "@recycle", "#snapshot", "__pycache__"),
}
_LEFT_BEHIND = (  # endings, in any case
    *("~", ".bak", ".orig", ".tmp", ".part", ".partial", ".crdownload", ".download", ".opdownload"),
)


def composed(name: str) -> str:
    """A name in the form in which names are compared (NFC)."""
    return unicodedata.normalize("NFC", name)


def is_hidden(name: str) -> bool:
    """Whether a path inside an archive is hidden, or one that a system adds."""
    return any(part.startswith(".") or part.casefold() in _OF_SYSTEMS for part in PurePosixPath(name).parts)


def is_left_behind(name: str) -> bool:
    """Whether a file is a backup of another, or one that a program did not finish."""
    return name.casefold().endswith(_LEFT_BEHIND)


def list_folder(folder: Path) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """The files of a folder by their composed posix path inside it, ascending, and what is passed over by reason."""
    files: dict[str, Path] = {}
    passed_over: dict[str, list[str]] = {}
    waiting = [(folder, "", frozenset({os.path.realpath(folder)}))]
    while waiting:
        place, inside, above = waiting.pop()
        for entry in sorted(place.iterdir()):
            name, reason = inside + composed(entry.name), None
            if is_hidden(entry.name):
                reason = HIDDEN
            elif os.path.isdir(entry):
                real = os.path.realpath(entry)
                if real in above:
                    reason = CIRCLE
                else:
                    waiting.append((entry, f"{name}/", above | {real}))
            elif not os.path.isfile(entry):
                reason = BROKEN if entry.is_symlink() else SPECIAL
            elif printable(name) != name:
                reason, name = NO_TEXT, printable(name)
            elif is_left_behind(name):
                reason = LEFT_BEHIND
            elif name in files:
                reason = TWICE
            else:
                files[name] = entry
            if reason:
                passed_over.setdefault(reason, []).append(name)
    return dict(sorted(files.items(), key=lambda item: PurePosixPath(item[0]).parts)), passed_over


def sha256_listed(path: Path) -> str:
    """The hash of a file, or of the names and contents of what `list_folder` lists."""
    if not path.is_dir():
        return sha256_file(path)
    digest = hashlib.sha256()
    for name, file in list_folder(path)[0].items():
        digest.update(f"{name}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()
