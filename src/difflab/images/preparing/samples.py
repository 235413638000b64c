"""From the rows of a table to images: ids, bytes, and what was skipped and why."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive
    from difflab.images.params import PrepareParams


@dataclass
class Skipped:
    """The files of a table that did not become samples, by reason, in table order."""

    absent: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    no_face_box: list[str] = field(default_factory=list)
    small: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Unreadable images by name, one line each."""
        for file in self.unreadable:
            yield f"unreadable image: {file}"


def read_image(archive: "Archive", name: str) -> bytes:
    """The bytes of a member, or none where the archive itself is damaged there."""
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return b""


def sample_ids(files: Iterable[str], form: str, table: str) -> list[str]:
    """Ids from file names, e.g. "12.jpg" -> "hq-00012" with the form "hq-{:05d}".

    Raises:
        DifflabError: a file name is not a number.
    """
    ids = []
    for file in files:
        stem = PurePosixPath(file).stem
        if not stem.isdecimal():
            raise DifflabError(f"{table} lists '{file}', whose name is not a number: is it the right table?")
        ids.append(form.format(int(stem)))
    return ids


def present_files(archive: "Archive", folder: str, files: Sequence[str], policy: str, skipped: Skipped) -> list[str]:
    """The files that the archive has, in order; the others are noted in `skipped`.

    Raises:
        DifflabError: some are absent and `policy` (prepare.absent_images) is "error".
    """
    found = [file for file in files if archive.has(folder + file)]
    if len(found) < len(files):
        have = set(found)
        skipped.absent.extend(file for file in files if file not in have)
        if policy == "error":
            raise DifflabError(
                f"{len(skipped.absent)} of {len(files)} images are absent from {archive.path}, the first is "
                f"{skipped.absent[0]}: complete it, or set prepare.absent_images=skip"
            )
    return found


def refuse_unreadable(skipped: Skipped, settings: "PrepareParams") -> None:
    """Stop when images could not be read and the parameters say so; at most ten are named in the message."""
    if skipped.unreadable and settings.unreadable_images == "stop":
        names = ", ".join(skipped.unreadable[:10]) + (", ..." if len(skipped.unreadable) > 10 else "")
        raise DifflabError(
            f"{len(skipped.unreadable)} images cannot be read ({names}): "
            "repair them, or set prepare.unreadable_images=skip"
        )
