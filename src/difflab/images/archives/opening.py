"""Official archives read in place: by their path, or by the source.json of a data set. Nothing is extracted.

`<folder>/source.json` says which archive a data set is made from: {"source": "bundled" | "data_root" | "download"
| "own", "file": name, "size": bytes, "sha256": hex}. The file lies beside it, except for `data_root`, where it stays
where it is and `file` is relative to the data root, and for `own`, whose `file` is a whole path.
"""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from difflab.core.base.errors import DifflabError, printable, reading
from difflab.core.base.files import read_json, write_json
from difflab.images.archives.folder import (
    HIDDEN,
    LEFT_BEHIND,
    NO_TEXT,
    TWICE,
    composed,
    is_hidden,
    is_left_behind,
    list_folder,
    sha256_listed,
)

SOURCE_FILE = "source.json"
ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
_CHUNK = 1024 * 1024
_LARGEST = 1024**3  # bytes of a member: 100 megapixels of four channels with 16 bits have less
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # by the first bytes
_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags of a member of a zip


class Archive:
    """The files of an archive by their path inside it, without what is hidden, a system's own or left behind.

    Names are found whatever their Unicode form and, where only one file is meant, their case. The upstream top folder may
    be missing, or lie deeper: `locate` finds where the known layout starts.
    """

    def __init__(self, path: Path, members: Mapping[str, Any], opener: Callable[[Any], IO[bytes] | None]) -> None:
        self.path = path
        self.passed_over: dict[str, list[str]] = {}  # names by reason
        self.pass_over(HIDDEN, [name for name in members if is_hidden(name)])
        self._members: dict[str, Any] = {}
        for name, member in members.items():
            if printable(name) != name:
                self.pass_over(NO_TEXT, [name])
            elif self._members.setdefault(composed(name), member) is not member:
                self.pass_over(TWICE, [name])
        for name in filter(is_hidden, list(self._members)):
            del self._members[name]
        left_behind = [name for name in self._members if is_left_behind(name)]
        self.pass_over(LEFT_BEHIND, left_behind)
        for name in left_behind:
            del self._members[name]
        self._opener = opener

    def names(self) -> Iterator[str]:
        return iter(self._members)

    def pass_over(self, reason: str, names: list[str]) -> None:
        """Note files that are not used; a name may be of any text."""
        if names:
            self.passed_over.setdefault(reason, []).extend(map(printable, names))

    def count_passed_over(self) -> int:
        return sum(map(len, self.passed_over.values()))

    def describe_passed_over(self) -> list[str]:
        """A line for each reason, with the first ten names."""
        shown = {reason: names[:10] + ["..."] * (len(names) > 10) for reason, names in self.passed_over.items()}
        return [
            f"{self.path.name}: passed over {len(self.passed_over[reason]):,} ({reason}): {', '.join(names)}"
            for reason, names in shown.items()
        ]

    def find(self, name: str) -> str | None:
        """The member that a name means: the very one, else the only one that differs in case alone.

        Raises:
            DifflabError: several differ in case alone.
        """
        name = composed(name)
        if name in self._members:
            return name
        found = self._folded.get(name.casefold(), [])
        if len(found) > 1:
            raise DifflabError(f"{self.path} has no {name}, but {' and '.join(found)}: keep one")
        return found[0] if found else None

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        folded: dict[str, list[str]] = {}
        for name in self._members:
            folded.setdefault(name.casefold(), []).append(name)
        return folded

    def place(self, name: str) -> Path:
        """The file of a member of an unpacked folder, whose name on the disk may be in another Unicode form."""
        return self._members[name]

    def has(self, name: str) -> bool:
        return self.find(name) is not None

    def read(self, name: str, size: int = -1) -> bytes:
        """The content of a member, or its first `size` bytes.

        Raises:
            DifflabError: there is no such member, or it is unreadable (`Unreadable`).
        """
        found = self.find(name)
        if found is None:
            raise DifflabError(f"{self.path} has no {name}")
        with reading(f"{self.path}: {found}", "fetch it again"):
            stream = self._opener(self._members[found])
            if stream is None:
                raise ValueError("no plain file")
            with stream:
                return whole(stream) if size < 0 else stream.read(size)

    def locate(self, ending: str) -> str:
        """The folder (with its trailing slash, or "") in which the path `ending` lies."""
        wanted = f"/{ending}".casefold()
        found = [name for name in self.names() if f"/{name}".casefold().endswith(wanted)]
        if len(found) != 1:
            problem = "has no" if not found else f"has {len(found)} files"
            raise DifflabError(f"{self.path} {problem} {ending}: is it the official archive, or its unpacked folder?")
        return found[0][: -len(ending)]


def whole(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    """The content of a stream; what unpacks to more than any picture has is refused before it fills the memory."""
    parts, length = [], 0
    while part := stream.read(_CHUNK):
        parts.append(part)
        length += len(part)
        if length > _LARGEST:
            raise ValueError("more than 1 GiB")
    return b"".join(parts)


def open_archive(path: str | Path) -> Archive:
    """Open an unpacked folder (see `list_folder`), a zip file or a tar file, packed or not; its content says which."""
    path = Path(path)
    if path.is_dir():
        files, passed_over = list_folder(path)
        archive = Archive(path, files, lambda file: file.open("rb"))
        archive.passed_over |= passed_over
        return archive
    with path.open("rb") as stream:
        head = stream.read(512)
    unpack = next((opener for magic, opener in _PACKED.items() if head.startswith(magic)), None)
    if unpack or head[257:262] == b"ustar" or path.name.lower().endswith(ENDINGS[:-1]):
        return _open_tar(path, unpack or open)
    if not zipfile.is_zipfile(path):
        raise DifflabError(f"{path} is neither a folder nor a zip or tar archive: fetch it again, or unpack it")
    return _open_zip(path)


def _open_zip(path: Path) -> Archive:
    with reading(path, "fetch it again"):
        content = zipfile.ZipFile(path)
        with path.open("rb") as stream:
            starts = stream.read(4) == b"PK\3\4"
        if starts and min((info.header_offset for info in content.infolist()), default=0) > 0:
            raise ValueError("only its last part is listed, as in several zip files joined to one")
        found = [(_zip_name(info), info) for info in content.infolist() if not info.is_dir()]
    for name, info in found:
        _check_member(path, name, not stat.S_ISLNK(info.external_attr >> 16))
        if info.flag_bits & _ENCRYPTED:
            raise DifflabError(f"unreadable: {path} ({printable(name)} is encrypted): unpack it with its password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            kind = "Deflate64" if info.compress_type == 9 else f"method {info.compress_type}"
            raise DifflabError(
                f"unreadable: {path} ({printable(name)} is compressed by {kind}): unpack it, and give the folder"
            )
    return _of_members(path, found, content.open)


def _of_members(path: Path, found: list[tuple[str, Any]], opener: Callable[[Any], IO[bytes] | None]) -> Archive:
    """The archive of these (name, member): of one name the last counts, as for programs that unpack."""
    members: dict[str, Any] = {}
    twice = []
    for name, member in found:
        plain = PurePosixPath(name).as_posix()  # without "./" and "//"
        if plain in members:
            twice.append(plain)
        members[plain] = member
    members.pop(".", None)  # a file without a name
    archive = Archive(path, members, opener)
    archive.pass_over(TWICE, twice)
    return archive


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name of a member; without the flag that says so it may be UTF-8 still, or have Windows' separators."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


class _Member(tarfile.TarInfo):
    """A member of a tar file. Where no header follows one, tarfile takes the file for ended, and what is left for none."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) < tarfile.BLOCKSIZE:
                raise ValueError("it is cut off") from None
            if any(buf):
                raise ValueError(f"a header in it is damaged: {error}") from None
            raise  # the zeros at its end


def _open_tar(path: Path, unpack: Callable[..., Any]) -> Archive:
    """A tar file, read to its end once; fastest when members are read in order: going back in a packed one starts anew."""
    with reading(path, "fetch it again"):
        stream = unpack(path, "rb")
        content = tarfile.TarFile(fileobj=stream, tarinfo=_Member)
        members = [member for member in content.getmembers() if not member.isdir()]
        while rest := stream.read(_CHUNK):  # to the end, where the checksum stands
            if rest.strip(b"\0"):
                raise ValueError("more stands behind its end, as in several tar files joined to one")
    for member in members:
        _check_member(path, member.name, member.isfile())
    return _of_members(path, [(member.name, member) for member in members], content.extractfile)


def _check_member(path: Path, name: str, plain: bool) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise DifflabError(f"{path} holds '{printable(name)}', which leads out of it: refused, fetch it again")
    if not plain and not is_hidden(name):
        raise DifflabError(
            f"{path} holds '{printable(name)}', which is no plain file: refused, pack what links lead to "
            "(tar -h --hard-dereference), or give the folder"
        )


def write_source(folder: Path, source: str, name: str, archive: Path) -> str:
    """Write source.json for `archive` (a file or a folder) and return the hash of its content."""
    files = list_folder(archive)[0].values() if archive.is_dir() else [archive]
    size = sum(file.stat().st_size for file in files)
    sha256 = sha256_listed(archive)
    write_json(folder / SOURCE_FILE, {"source": source, "file": name, "size": size, "sha256": sha256})
    return sha256


def is_own(folder: str | Path) -> bool:
    """Whether a data set is made from a person's own pictures."""
    path = Path(folder) / SOURCE_FILE
    return path.exists() and read_json(path).get("source") == "own"


def open_source(folder: str | Path, root: str | None) -> Archive:
    """Open the archive that `<folder>/source.json` names; `root` is the parameter `data.data_root`."""
    folder = Path(folder)
    stage = f"acquire@{folder.name}" if folder.name.startswith("celeba") else "acquire_images"
    if not (folder / SOURCE_FILE).exists():
        raise DifflabError(f"{folder / SOURCE_FILE} is missing: run `dvc repro {stage}`, or `dvc pull {folder}`")
    source = read_json(folder / SOURCE_FILE)
    with reading(folder / SOURCE_FILE, f"run `dvc repro -f {stage}`"):
        path, sha256 = (
            (data_root(root) if source["source"] == "data_root" else folder) / source["file"],
            source["sha256"],
        )
        there = path.exists()  # refuses names that no file can have
    if not there:
        raise DifflabError(f"the archive {path} is missing: put it back, or run `dvc repro -f {stage}`")
    if sha256_listed(path) != sha256:
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
