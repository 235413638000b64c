"""The folder of one visitor, whose name only that visitor's browser knows.

.scratch/app/<token>/pictures/subject/01.jpg  01.txt    as they were uploaded, under numbers, and their captions
.scratch/app/<token>/job/                               see `difflab.app.personalise.job`

`.scratch` belongs to this clone, so that neither Git nor a cache of DVC that others share ever holds a picture.
"""

import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from difflab.core.base.files import write_text
from difflab.images.archives.pictures import is_named_picture

FOLDER = Path(".scratch/app")
SUBJECT = "subject"
_TOKEN = re.compile(r"[0-9a-f]{32}")
_KEPT = 24 * 3600  # seconds after the last visit


@dataclass(frozen=True)
class Session:
    """A visitor's folder."""

    folder: Path

    @property
    def token(self) -> str:
        return self.folder.name

    @property
    def subject(self) -> Path:
        """The folder of the pictures, in the layout of docs/personal.md."""
        return self.folder / "pictures" / SUBJECT

    @property
    def job(self) -> Path:
        return self.folder / "job"

    def pictures(self) -> list[Path]:
        """The pictures in the order of their numbers."""
        if not self.subject.is_dir():
            return []
        return sorted(p for p in self.subject.iterdir() if is_named_picture(p.name) and not p.name.startswith("."))

    def caption(self, picture: Path) -> str:
        """The caption of a picture; empty where it has none, and the instance prompt counts."""
        path = picture.with_suffix(".txt")
        return path.read_text() if path.exists() else ""

    def set_caption(self, picture: Path, text: str) -> None:
        """Write the caption of a picture that is still there."""
        path = picture.with_suffix(".txt")
        if text.strip() and picture.exists():
            write_text(path, " ".join(text.split()))
        else:
            path.unlink(missing_ok=True)

    def remove(self, picture: Path) -> None:
        """Delete one picture with its caption."""
        picture.unlink(missing_ok=True)
        picture.with_suffix(".txt").unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete all of it: pictures, the job and what it made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def new_session() -> Session:
    """A folder for a new visitor, for this user's eyes alone."""
    session = Session(FOLDER / secrets.token_hex(16))
    session.folder.mkdir(parents=True, mode=0o700)
    return session


def find_session(token: object) -> Session | None:
    """The folder of a token that a browser sends; None where there is none, or the token is no name of one."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    folder = FOLDER / token
    if folder.is_symlink() or not folder.is_dir():
        return None
    folder.touch()
    return Session(folder)


def all_sessions() -> list[Session]:
    folders = FOLDER.iterdir() if FOLDER.is_dir() else ()
    return [Session(folder) for folder in folders if _TOKEN.fullmatch(folder.name) and folder.is_dir()]


def is_left(session: Session) -> bool:
    """Whether the visitor has not come back for a day."""
    return time.time() - session.folder.stat().st_mtime > _KEPT
