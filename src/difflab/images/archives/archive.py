"""Official archives read in place, as a zip or as an unpacked folder."""

import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from difflab.core.base.errors import DifflabError


class Archive(ABC):
    """Members of an official archive by their path inside it.

    The upstream top folder may be missing, or lie deeper: `locate` finds where the known layout starts.
    """

    path: Path

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Every file, as a posix path."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """Open a member for reading."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def read(self, name: str) -> bytes:
        """The bytes of a member."""
        with self.open(name) as stream:
            return stream.read()

    def locate(self, ending: str) -> str:
        """The folder (with its trailing slash, or "") in which the path `ending` lies.

        Raises:
            DifflabError: no member, or more than one, ends so.
        """
        found = [n for n in self.names() if n == ending or n.endswith("/" + ending)]
        found = [n for n in found if not n.startswith("__MACOSX/")]
        if len(found) != 1:
            problem = "has no" if not found else f"has {len(found)} files"
            raise DifflabError(f"{self.path} {problem} {ending}: is it the official archive, or its unpacked folder?")
        return found[0].removesuffix(ending)


class ZipArchive(Archive):
    """A zip archive, read in place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = zipfile.ZipFile(path)
        self._infos = {i.filename: i for i in self._zip.infolist() if not i.is_dir()}

    def names(self) -> Iterator[str]:
        return iter(self._infos)

    def open(self, name: str) -> IO[bytes]:
        if name not in self._infos:
            raise DifflabError(f"{self.path} has no {name}")
        return self._zip.open(self._infos[name])

    def has(self, name: str) -> bool:
        return name in self._infos


class FolderArchive(Archive):
    """An unpacked archive. Names that lead out of the folder are refused, links inside are followed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> Iterator[str]:
        for folder, subfolders, files in os.walk(self.path, followlinks=True):
            subfolders.sort()
            for file in sorted(files):
                yield (Path(folder) / file).relative_to(self.path).as_posix()

    def open(self, name: str) -> IO[bytes]:
        if not self.has(name):
            raise DifflabError(f"{self.path} has no {name}")
        return (self.path / name).open("rb")

    def has(self, name: str) -> bool:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise DifflabError(f"'{name}' leads out of {self.path}: refused")
        return (self.path / name).is_file()
