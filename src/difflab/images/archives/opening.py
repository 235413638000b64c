"""Official archives read in place: by their path, or by the source.json of a data set. Nothing is extracted.

`<folder>/source.json` says which archive a data set is made from: {"source": "bundled" | "data_root" | "download",
"file": name, "size": bytes, "sha256": hex}. The file lies beside it, except for `data_root`, where it stays where
it is and `file` is relative to the data root.
"""

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file, write_json

SOURCE_FILE = "source.json"
TAR_ENDINGS = (".tar.gz", ".tgz")
_CHUNK = 1024 * 1024
_DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class Archive:
    """The files of an official archive by their posix path inside it, without those that macOS adds.

    The upstream top folder may be missing, or lie deeper: `locate` finds where the known layout starts.
    """

    def __init__(self, path: Path, members: Mapping[str, Any], opener: Callable[[Any], IO[bytes] | None]) -> None:
        self.path = path
        self._members = {name: member for name, member in members.items() if "__MACOSX/" not in name}
        self._opener = opener

    def names(self) -> Iterator[str]:
        return iter(self._members)

    def has(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> IO[bytes]:
        stream = self._opener(self._members[name]) if name in self._members else None
        if stream is None:
            raise DifflabError(f"{self.path} has no {name}")
        return stream

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()

    def locate(self, ending: str) -> str:
        """The folder (with its trailing slash, or "") in which the path `ending` lies."""
        found = [name for name in self.names() if f"/{name}".endswith(f"/{ending}")]
        if len(found) != 1:
            problem = "has no" if not found else f"has {len(found)} files"
            raise DifflabError(f"{self.path} {problem} {ending}: is it the official archive, or its unpacked folder?")
        return found[0].removesuffix(ending)


def open_archive(path: str | Path) -> Archive:
    """Open an unpacked folder (links inside are followed), a tar.gz file or a zip file."""
    path = Path(path)
    if path.is_dir():
        paths = (Path(folder, file) for folder, _, files in os.walk(path, followlinks=True) for file in files)
        files = {p.relative_to(path).as_posix(): p for p in sorted(paths) if p.is_file()}
        return Archive(path, files, lambda file: file.open("rb"))
    if path.name.endswith(TAR_ENDINGS):
        return _open_tar(path)
    if not zipfile.is_zipfile(path):
        raise DifflabError(f"{path} is neither a folder nor a zip archive: fetch it again, or unpack it")
    content = zipfile.ZipFile(path)
    return Archive(path, {i.filename: i for i in content.infolist() if not i.is_dir()}, content.open)


def _open_tar(path: Path) -> Archive:
    """A tar.gz, read to its end once; fastest when members are opened in order: going back starts anew."""
    stream = gzip.GzipFile(path)
    try:
        content = tarfile.TarFile(fileobj=stream)
        members = [member for member in content.getmembers() if not member.isdir()]
        while stream.read(_CHUNK):  # to the end, where the checksum stands
            pass
    except _DAMAGE as error:
        stream.close()
        raise DifflabError(f"{path} is truncated, damaged or no tar.gz archive ({error}): fetch it again") from None
    for member in members:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DifflabError(f"{path} holds '{member.name}', which leads out of it: refused, fetch it again")
        if not member.isfile():
            raise DifflabError(f"{path} holds '{member.name}', which is no plain file: refused, fetch it again")
    return Archive(path, {PurePosixPath(member.name).as_posix(): member for member in members}, content.extractfile)


def write_source(folder: Path, source: str, name: str, archive: Path) -> str:
    """Write source.json for `archive` (a file or a folder) and return the hash of its content."""
    files = [file for file in archive.rglob("*") if file.is_file()] if archive.is_dir() else [archive]
    size = sum(file.stat().st_size for file in files)
    sha256 = sha256_file(archive)
    write_json(folder / SOURCE_FILE, {"source": source, "file": name, "size": size, "sha256": sha256})
    return sha256


def open_source(folder: str | Path, root: str | None) -> Archive:
    """Open the archive that `<folder>/source.json` names; `root` is the parameter `data.data_root`."""
    folder = Path(folder)
    stage = f"acquire@{folder.name}"
    if not (folder / SOURCE_FILE).exists():
        raise DifflabError(f"{folder / SOURCE_FILE} is missing: run `dvc repro {stage}`, or `dvc pull {folder}`")
    source = read_json(folder / SOURCE_FILE)
    path = (data_root(root) if source["source"] == "data_root" else folder) / source["file"]
    if not path.exists():
        raise DifflabError(f"the archive {path} is missing: put it back, or run `dvc repro -f {stage}`")
    if sha256_file(path) != source["sha256"]:
        raise DifflabError(f"the archive {path} has changed since it was acquired: run `dvc repro -f {stage}`")
    return open_archive(path)


def data_root(parameter: str | None) -> Path:
    """The data root: DIFFLAB_DATA, else `data.data_root` (relative to the repository, DVC_ROOT)."""
    environment = os.environ.get("DIFFLAB_DATA")
    chosen = environment or parameter
    if not chosen:
        raise DifflabError("no data root is set: set data.data_root, or the environment variable DIFFLAB_DATA")
    folder = Path(os.environ.get("DVC_ROOT", ".")) / os.path.expanduser(chosen)
    if not folder.is_dir():
        name = "DIFFLAB_DATA" if environment else "data.data_root"
        raise DifflabError(f"{name} is '{chosen}', which is not a folder ({folder.resolve()}): correct it")
    return folder
