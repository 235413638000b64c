"""Pictures to try the tab with: one of the miniature's subjects, a synthetic emblem over photographs."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.app.personalise.uploads import MOST, add_picture
from difflab.images.archives.opening import open_archive
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
        archive = open_archive(path)
        names = [name for name in archive.names() if name.startswith(f"{SUBJECTS[0]}/") and name.endswith(".jpg")]
        for name in sorted(names)[: min(PICTURES, MOST - len(session.pictures()))]:
            add_picture(session, Path(name).name, archive.read(name))
