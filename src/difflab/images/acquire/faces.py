"""Getting an official archive: from the data root, by download, or built as the miniature."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlparse

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.images.acquire.download import download
from difflab.images.archives import archive

if TYPE_CHECKING:
    from difflab.images.params import ArchiveParams, DataParams


class Official(NamedTuple):
    """What a person has to know about an archive that cannot be fetched for them."""

    file: str  # the name upstream gives it
    layout: str  # a file by which it is recognised
    by_hand: str  # what to do where a licence must be accepted by hand


OFFICIAL = {
    "celeba_hq": Official(
        "CelebAMask-HQ.zip",
        "CelebAMask-HQ-attribute-anno.txt",
        "accept the terms of CelebAMask-HQ at https://github.com/switchablenorms/CelebAMask-HQ "
        "(non-commercial research), fetch CelebAMask-HQ.zip",
    ),
    "celeba": Official(
        "CelebA.zip",
        "Anno/list_attr_celeba.txt",
        "accept the agreement of CelebA at https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial "
        "research), fetch Anno/ and Img/img_celeba.7z, unpack the latter to Img/img_celeba/",
    ),
}


def acquire(role: str, folder: Path, data: "DataParams", seed: int, scratch: Path) -> str:
    """Make data/raw/<role>: source.json, and the archive unless it stays in the data root.

    Args:
        role: celeba_hq or celeba.
        folder: the output folder, replaced as a whole.
        scratch: where an unfinished download waits.

    Returns:
        One phrase for the stage's last line.

    Raises:
        DifflabError: the archive is missing, is another one, or must be fetched by a person.
    """
    settings = getattr(data, role)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        if settings.source == "bundled":
            name = OFFICIAL[role].file
            _build(role, temporary / name, seed)
            archive.write_source(temporary, "bundled", name, temporary / name)
        elif settings.source == "download":
            name = _download(role, settings, temporary, scratch)
            archive.write_source(temporary, "download", name, temporary / name)
        else:
            name, path = _find(role, settings, data.data_root)
            archive.write_source(temporary, "data_root", name, path)
            _check_hash(temporary, settings, path)
    return f"{role} from {settings.source} ({name})"


def _build(role: str, path: Path, seed: int) -> None:
    from difflab.miniature.archives import face_archives

    {"celeba_hq": face_archives.write_celeba_hq, "celeba": face_archives.write_celeba}[role](path, seed)


def _download(role: str, settings: "ArchiveParams", folder: Path, scratch: Path) -> str:
    official = OFFICIAL[role]
    if settings.url is None:
        raise DifflabError(
            f"{role} cannot be fetched for you: {official.by_hand}, put it into a data root "
            f"as {settings.path} and set data.{role}.source=data_root (or data.{role}.url to your own copy)"
        )
    name = PurePosixPath(urlparse(settings.url).path).name or official.file
    download(settings.url, folder / name, scratch / f"{name}.part", settings.sha256)
    _check_layout(role, folder / name)
    return name


def _find(role: str, settings: "ArchiveParams", root: str | None) -> tuple[str, Path]:
    """The archive (name relative to the data root, path): `path`, or the folder it was unpacked to."""
    base = archive.data_root(root)
    for name in dict.fromkeys((settings.path, str(PurePosixPath(settings.path).with_suffix("")))):
        if (base / name).exists():
            _check_layout(role, base / name)
            return name, base / name
    raise DifflabError(
        f"{(base / settings.path).resolve()} is missing: {OFFICIAL[role].by_hand} and put it there, "
        f"or set data.{role}.path"
    )


def _check_layout(role: str, path: Path) -> None:
    archive.open_archive(path).locate(OFFICIAL[role].layout)


def _check_hash(folder: Path, settings: "ArchiveParams", path: Path) -> None:
    found = archive.read_json(folder / archive.SOURCE_FILE)["sha256"]
    if settings.sha256 not in (None, found):
        raise DifflabError(f"{path} has sha256 {found}, not {settings.sha256}: it is another archive")
