"""Pictures to try the tab with: one of the miniature's subjects, a synthetic emblem over photographs."""

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.app.personalise.uploads import MOST, add_picture
from difflab.miniature.archives.subjects import SUBJECTS, write_subjects
from difflab.miniature.data.bundled import SEED

if TYPE_CHECKING:
    from difflab.app.personalise.sessions import Session

PICTURES = 9


def add_example(session: "Session") -> None:
    """Add nine pictures of an emblem, as far as there is room.

    Raises:
        DifflabError: the pictures are there already.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "subjects.zip"
        write_subjects(path, SEED)
        with zipfile.ZipFile(path) as archive:
            names = [
                name for name in archive.namelist() if name.startswith(f"{SUBJECTS[0]}/") and name.endswith(".jpg")
            ]
            for name in sorted(names)[: min(PICTURES, MOST - len(session.pictures()))]:
                add_picture(session, Path(name).name, archive.read(name))
