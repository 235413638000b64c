"""Official archives: where they come from, and reading them as a zip or as an unpacked folder.

Nothing is extracted. `<folder>/source.json` says which archive a data set is made from:
{"source": "bundled" | "data_root" | "download", "file": name, "size": bytes, "sha256": hex}. The file lies
beside it, except for `data_root`, where it stays where it is and `file` is relative to the data root.
"""

import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file, write_json

SOURCE_FILE = "source.json"


def data_root(parameter: str | None) -> Path:
    """The folder of archives: DIFFLAB_DATA, else `data.data_root` (relative to the repository, DVC_ROOT).

    Raises:
        DifflabError: neither is set, or the folder does not exist.
    """
    environment = os.environ.get("DIFFLAB_DATA")
    chosen = environment or parameter
    if not chosen:
        raise DifflabError(
            "no data root is set: set data.data_root, or the environment variable DIFFLAB_DATA"
        )
    folder = Path(os.environ.get("DVC_ROOT", ".")) / Path(chosen).expanduser()
    if not folder.is_dir():
        name = "DIFFLAB_DATA" if environment else "data.data_root"
        raise DifflabError(f"{name} is '{chosen}', which is not a folder ({folder.resolve()}): correct it")
    return folder


def write_source(folder: Path, source: str, name: str, archive: Path) -> None:
    """Write source.json for `archive` (a file or a folder; the hash covers its content)."""
    content = {"source": source, "file": name, "size": _size(archive), "sha256": sha256_file(archive)}
    write_json(folder / SOURCE_FILE, content)


def open_source(folder: str | Path, root: str | None) -> "Archive":
    """Open the archive that `<folder>/source.json` names; `root` is the parameter `data.data_root`.

    Raises:
        DifflabError: it is missing, or not the one that `acquire` saw (size, sha256).
    """
    folder = Path(folder)
    if not (folder / SOURCE_FILE).exists():
        raise DifflabError(
            f"{folder / SOURCE_FILE} is missing: run `dvc repro acquire`, or `dvc pull {folder}`"
        )
    source = read_json(folder / SOURCE_FILE)
    path = (data_root(root) if source["source"] == "data_root" else folder) / source["file"]
    if not path.exists():
        raise DifflabError(f"the archive {path} is missing: put it back, or run `dvc repro -f acquire`")
    if _size(path) != source["size"] or sha256_file(path) != source["sha256"]:
        raise DifflabError(
            f"the archive {path} has changed since it was acquired: run `dvc repro -f acquire`"
        )
    return open_archive(path)


def open_archive(path: str | Path) -> "Archive":
    """Open a zip file or an unpacked folder."""
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    if not zipfile.is_zipfile(path):
        raise DifflabError(f"{path} is neither a folder nor a zip archive: fetch it again, or unpack it")
    return ZipArchive(path)


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
            raise DifflabError(
                f"{self.path} {problem} {ending}: is it the official archive, or its unpacked folder?"
            )
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


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
