"""A folder or zip archive of photographs of any sizes, without any table."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def list_files(archive: "Archive") -> list[str]:
    """The photographs, by name; other files, hidden ones among them, are passed over."""
    files = sorted(name for name in archive.names() if _is_photograph(PurePosixPath(name)))
    if not files:
        raise DifflabError(f"{archive.path} has no photographs ({', '.join(SUFFIXES)}): put some there")
    return files


def _is_photograph(path: PurePosixPath) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)
