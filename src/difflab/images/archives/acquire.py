"""The official archives, and getting one: built as the miniature, from the data root, or by download."""

import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlparse

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, sha256_file
from difflab.images.archives.folder import composed
from difflab.images.archives.opening import ENDINGS, data_root, open_archive, write_source
from difflab.images.archives.pictures import list_pictures

if TYPE_CHECKING:
    from difflab.images.params import ArchiveParams

_CHUNK = 1024 * 1024
_TIMEOUT = 60  # seconds without an answer


class Official(NamedTuple):
    """An archive as upstream publishes it."""

    file: str  # the name upstream gives it
    layout: str | None  # a pattern of file names by which it is recognised; None: any picture will do
    by_hand: str  # what a person does where it is not there


OFFICIAL = {
    "celeba_hq": Official(
        "CelebAMask-HQ.zip",
        r"CelebAMask-HQ-attribute-anno\.txt",
        "accept the terms of CelebAMask-HQ at https://github.com/switchablenorms/CelebAMask-HQ "
        "(non-commercial research), fetch CelebAMask-HQ.zip",
    ),
    "celeba": Official(
        "CelebA.zip",
        r"Anno/list_attr_celeba\.txt",
        "accept the agreement of CelebA at https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial "
        "research), fetch Anno/ and Img/img_celeba.7z, unpack the latter to Img/img_celeba/",
    ),
    "cifar10": Official(
        "cifar-10-binary.tar.gz",
        r"data_batch_1\.bin",
        "fetch cifar-10-binary.tar.gz, the binary version, from https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "mnist": Official(
        "mnist",
        r"train-images-idx3-ubyte(\.gz)?",
        "fetch the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        "and t10k-labels-idx1-ubyte.gz from https://yann.lecun.com/exdb/mnist/ or a mirror into one folder",
    ),
    "scenes": Official(
        "landscapes.zip",
        None,
        "pack photographs of one kind of scene (JPEG, PNG, WebP, TIFF, ...) into a zip archive or a folder",
    ),
    "coco": Official(
        "coco.zip",
        None,
        "fetch annotations_trainval2017.zip and train2017.zip from https://cocodataset.org/#download and unpack "
        "both into one folder, or take an image folder with a metadata.jsonl or .csv, or with a .txt beside each image",
    ),
    "subjects": Official(
        "subjects.zip",
        None,
        "make a folder of five to ten pictures for each subject, as in https://github.com/google/dreambooth, with "
        "captions or without",
    ),
    "recipes": Official(
        "food-ingredients-and-recipe-dataset-with-images.zip",
        r"[^/]+\.csv",
        'fetch the "Food Ingredients and Recipes Dataset with Images" with a Kaggle account from '
        "https://www.kaggle.com/datasets/pes12017000148/food-ingredients-and-recipe-dataset-with-images, unpack it",
    ),
}


def acquire(
    name: str, folder: Path, settings: "ArchiveParams", root: str | None, build: Callable[[Path], None], scratch: Path
) -> str:
    """Make `folder`: source.json, and the archive `name` of `OFFICIAL` beside it unless it stays in the data root.

    Args:
        root: the parameter `data.data_root`.
        build: writes the miniature's archive to a path.
        scratch: where an unfinished download waits.

    Returns:
        One phrase for the stage's last line.
    """
    official = OFFICIAL[name]
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        file = official.file
        if settings.source == "data_root":
            path = find_archive(name, root, settings)
            file = path.relative_to(data_root(root)).as_posix()
        elif settings.source == "own":
            path = find_own(settings.path)
            file = path.as_posix()
        elif settings.source == "download":
            if settings.url is None:
                raise DifflabError(
                    f"data.{name}.url is not set: {official.by_hand}, put it into a data root as {settings.path} and "
                    f"set data.{name}.source=data_root (or data.{name}.url to your own copy)"
                )
            file = PurePosixPath(urlparse(settings.url).path).name or file
            path = temporary / file
            download(settings.url, path, scratch / f"{file}.part", settings.sha256)
        else:
            path = temporary / file
            build(path)
        if settings.source != "own":
            check_layout(name, path)
        sha256 = write_source(temporary, settings.source, file, path)
        if settings.source == "data_root" and settings.sha256 not in (None, sha256):
            raise DifflabError(f"{path} has sha256 {sha256}, not {settings.sha256}: it is another archive")
    return f"{name} from {settings.source} ({file})"


def find_archive(name: str, root: str | None, settings: "ArchiveParams") -> Path:
    """Where the data root has an archive: as the file itself, packed in another way, or as the folder it was unpacked to.

    Raises:
        DifflabError: it is not there, with what a person does about it.
    """
    base = data_root(root)
    ending = next((ending for ending in ENDINGS if settings.path.lower().endswith(ending)), "")
    stem = settings.path[: -len(ending)] if ending else settings.path
    for file in (settings.path, stem, *(stem + other for other in ENDINGS)):
        if (path := _in_any_case(base, file)) is not None:
            return path
    raise DifflabError(
        f"{(base / settings.path).resolve()} is missing: {OFFICIAL[name].by_hand} and put it there, "
        f"or set data.{name}.path"
    )


def find_own(given: str) -> Path:
    """Where a person's own pictures are: a folder, a zip or a tar file, relative to the repository (DVC_ROOT).

    Raises:
        DifflabError: it is not there, is no archive, or has no picture.
    """
    path = (Path(os.environ.get("DVC_ROOT", ".")) / os.path.expanduser(given)).resolve()
    if not path.exists():
        raise DifflabError(
            f"data.own is '{given}', and there is no {path}: give the folder (zip, tar) of your pictures"
        )
    if not list_pictures(open_archive(path)):
        raise DifflabError(f"data.own: {path} holds no picture (JPEG, PNG, WebP, TIFF, ...): put some there")
    return path


def _in_any_case(base: Path, file: str) -> Path | None:
    """`base / file`, or the only path that differs from it in case or Unicode form alone."""
    if (base / file).exists():
        return base / file
    for part in PurePosixPath(file).parts:
        wanted = composed(part).casefold()
        found = [p for p in base.iterdir() if composed(p.name).casefold() == wanted] if base.is_dir() else []
        if len(found) != 1:
            return None
        base = found[0]
    return base


def check_layout(name: str, path: Path) -> None:
    """Refuse what is not the archive `name` of `OFFICIAL`."""
    archive, layout = open_archive(path), OFFICIAL[name].layout
    if layout is None:
        known = bool(list_pictures(archive))
    else:
        known = any(re.search(rf"(^|/)({layout})$", file, re.IGNORECASE) for file in archive.names())
    if not known:
        raise DifflabError(f"{path} does not hold {name}: {OFFICIAL[name].by_hand}")


def download(url: str, path: Path, partial: Path, sha256: str | None) -> None:
    """Fetch `url` to `path`. An interrupted download resumes from `partial` (HTTP Range) at the next call."""
    if not url.startswith(("http://", "https://")):
        raise DifflabError(f"'{url}' is not an http(s) address: correct data.*.url")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, partial)
    except urllib.error.HTTPError as error:
        raise DifflabError(f"{url} answers {error.code} {error.reason}: check the address, then run again") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise DifflabError(f"{url} cannot be fetched ({error}): run again to resume") from None
    found = sha256_file(partial)
    if sha256 is not None and found != sha256:
        partial.unlink()
        raise DifflabError(f"{url} has sha256 {found}, not {sha256}: the file was removed; check data.*.sha256")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(partial, path)


def _fetch(url: str, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to fetch
            return
        raise
    with response, partial.open("ab" if response.status == 206 else "wb") as file:
        announced = int(response.headers.get("Content-Length", 0))
        chunks = iter(lambda: response.read(_CHUNK), b"")
        received = 0
        for chunk in runtime.progress(chunks, total=-(-announced // _CHUNK) or None, desc=partial.name, unit="MiB"):
            file.write(chunk)
            received += len(chunk)
    if received < announced:
        raise ConnectionError(f"{received} of {announced} bytes arrived")
