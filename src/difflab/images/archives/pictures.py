"""Which files of an archive are pictures: those that start like one, and those whose names say so."""

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import Unreadable
from difflab.core.base.store.decoder import is_image

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

# In any case. A file of such a name that is none is unreadable, and not passed over: somebody meant it.
ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".jpe", ".jfif", ".apng", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"),
    *(".jxl", ".heic", ".heif"),
)
NO_CAPTION, NO_PICTURE = "no caption", "no picture"
_HEAD = 64  # bytes


def is_named_picture(name: str) -> bool:
    """Whether the ending of a name is a picture's."""
    return PurePosixPath(name).suffix.lower() in ENDINGS


def list_pictures(archive: "Archive") -> list[str]:
    """The pictures of an archive, by name; its content decides about a file of another ending, or of none."""
    return sorted(name for name in archive.names() if is_named_picture(name) or _starts_as_one(archive, name))


def pass_over_others(archive: "Archive", used: Collection[str]) -> None:
    """Note what an archive holds beside the files `used` and those that are noted already: pictures, and other files."""
    noted = {*used, *(name for names in archive.passed_over.values() for name in names)}
    others = sorted(name for name in archive.names() if name not in noted)
    pictures = set(list_pictures(archive)) if others else set()
    archive.pass_over(NO_CAPTION, [name for name in others if name in pictures])
    archive.pass_over(NO_PICTURE, [name for name in others if name not in pictures])


def _starts_as_one(archive: "Archive", name: str) -> bool:
    try:
        return is_image(archive.read(name, _HEAD))
    except Unreadable:
        return False
