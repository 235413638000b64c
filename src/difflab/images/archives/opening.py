"""Archives of image sets: a tar.gz, a zip, or an unpacked folder, found by their source.json."""

from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file
from difflab.images.archives import archive
from difflab.images.archives.archive import SOURCE_FILE, Archive
from difflab.images.archives.tar import TarArchive

TAR_ENDINGS = (".tar.gz", ".tgz")


def open_archive(path: str | Path) -> Archive:
    """Open a tar.gz file, a zip file or an unpacked folder."""
    path = Path(path)
    if path.is_file() and path.name.endswith(TAR_ENDINGS):
        return TarArchive(path)
    return archive.open_archive(path)


def open_source(folder: str | Path, root: str | None) -> Archive:
    """Open the archive that `<folder>/source.json` names; `root` is the parameter `data.data_root`.

    Raises:
        DifflabError: it is missing, or not the one that `acquire_images` saw.
    """
    folder = Path(folder)
    if not (folder / SOURCE_FILE).exists():
        raise DifflabError(
            f"{folder / SOURCE_FILE} is missing: run `dvc repro acquire_images`, or `dvc pull {folder}`"
        )
    source = read_json(folder / SOURCE_FILE)
    path = (archive.data_root(root) if source["source"] == "data_root" else folder) / source["file"]
    again = "run `dvc repro -f acquire_images`"
    if not path.exists():
        raise DifflabError(f"the archive {path} is missing: put it back, or {again}")
    if sha256_file(path) != source["sha256"]:
        raise DifflabError(f"the archive {path} has changed since it was acquired: {again}")
    return open_archive(path)
