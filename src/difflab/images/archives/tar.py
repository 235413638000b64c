"""A tar.gz archive, read in place."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from difflab.core.base.errors import DifflabError
from difflab.images.archives.archive import Archive

_CHUNK = 1024 * 1024
_DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class TarArchive(Archive):
    """Members of a tar.gz archive, which is read to its end once when it is opened.

    Fastest when members are opened in the order of `names`: going back decompresses from the start.

    Raises:
        DifflabError: the file is truncated or damaged, or a member is a link, a device, or leads out of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        stream = gzip.GzipFile(path)
        try:
            self._tar = tarfile.TarFile(fileobj=stream)
            members = self._tar.getmembers()
            while stream.read(_CHUNK):  # to the end, where the checksum stands
                pass
        except _DAMAGE as error:
            stream.close()
            raise DifflabError(f"{path} is truncated, damaged or no tar.gz archive ({error}): fetch it again") from None
        self._members = {_checked(path, member): member for member in members if not member.isdir()}

    def names(self) -> Iterator[str]:
        return iter(self._members)

    def open(self, name: str) -> IO[bytes]:
        if name not in self._members:
            raise DifflabError(f"{self.path} has no {name}")
        stream = self._tar.extractfile(self._members[name])
        assert stream is not None  # a plain file, see `_checked`
        return stream

    def has(self, name: str) -> bool:
        return name in self._members


def _checked(path: Path, member: tarfile.TarInfo) -> str:
    """The member's name without a leading "./"."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise DifflabError(f"{path} holds '{member.name}', which leads out of it: refused, fetch it again")
    if not member.isfile():
        raise DifflabError(f"{path} holds '{member.name}', which is no plain file: refused, fetch it again")
    return name.as_posix()
