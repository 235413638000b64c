"""Pictures to try the tab with: one of the miniature's subjects, a synthetic emblem over photographs."""

import json
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
    """Add nine pictures of an emblem with their captions, as far as there is room.

    Raises:
        DifflabError: the pictures are there already.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "subjects.zip"
        write_subjects(path, SEED)
        with zipfile.ZipFile(path) as archive:
            subject = SUBJECTS[0]
            rows = [json.loads(row) for row in archive.read(f"{subject}/metadata.jsonl").splitlines()]
            for row in rows[: min(PICTURES, MOST - len(session.pictures()))]:
                add_picture(session, row["file_name"], archive.read(f"{subject}/{row['file_name']}"))
                session.set_caption(session.pictures()[-1], row["text"])
