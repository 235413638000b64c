"""Opening archives: by their path, or by the source.json of a data set.

`<folder>/source.json` says which archive a data set is made from: {"source": "bundled" | "data_root" | "download",
"file": name, "size": bytes, "sha256": hex}. The file lies beside it, except for `data_root`, where it stays where
it is and `file` is relative to the data root. Nothing is extracted.
"""

import zipfile
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file, write_json
from difflab.images.archives.archive import Archive, FolderArchive, ZipArchive
from difflab.images.archives.data_root import data_root
from difflab.images.archives.tar import TarArchive

SOURCE_FILE = "source.json"
TAR_ENDINGS = (".tar.gz", ".tgz")


def open_archive(path: str | Path) -> Archive:
    """Open an unpacked folder, a tar.gz file or a zip file.

    Raises:
        DifflabError: it is none of them, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    if path.name.endswith(TAR_ENDINGS):
        return TarArchive(path)
    if not zipfile.is_zipfile(path):
        raise DifflabError(f"{path} is neither a folder nor a zip archive: fetch it again, or unpack it")
    return ZipArchive(path)


def write_source(folder: Path, source: str, name: str, archive: Path) -> str:
    """Write source.json for `archive` (a file or a folder) and return the hash of its content."""
    files = [file for file in archive.rglob("*") if file.is_file()] if archive.is_dir() else [archive]
    size = sum(file.stat().st_size for file in files)
    sha256 = sha256_file(archive)
    write_json(folder / SOURCE_FILE, {"source": source, "file": name, "size": size, "sha256": sha256})
    return sha256


def open_source(folder: str | Path, root: str | None) -> Archive:
    """Open the archive that `<folder>/source.json` names; `root` is the parameter `data.data_root`.

    Raises:
        DifflabError: it is missing, or not the one that the stage `acquire` saw.
    """
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
