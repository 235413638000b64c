"""The official archives, and getting one: built as the miniature, from the data root, or by download."""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlparse

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.images.acquire.download import download
from difflab.images.archives.data_root import data_root
from difflab.images.archives.opening import TAR_ENDINGS, open_archive, write_source

if TYPE_CHECKING:
    from difflab.images.params import ArchiveParams


class Official(NamedTuple):
    """An archive as upstream publishes it.

    Attributes:
        file: the name upstream gives it.
        layout: a pattern of file names by which it is recognised.
        by_hand: what a person does where it is not there.
    """

    file: str
    layout: str
    by_hand: str


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
        r"[^/]+\.(jpe?g|png|webp)",
        "pack photographs of one kind of scene (jpg, png, webp) into a zip archive or a folder",
    ),
    "coco": Official(
        "coco.zip",
        r"captions_(train|val)\w*\.json|metadata\.jsonl",
        "fetch annotations_trainval2017.zip and train2017.zip from https://cocodataset.org/#download and unpack "
        "both into one folder, or take an image folder with a metadata.jsonl",
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
    """Make `folder`: source.json, and the archive `name` beside it unless it stays in the data root.

    Args:
        name: a key of `OFFICIAL`.
        folder: the output folder, replaced as a whole.
        root: the parameter `data.data_root`.
        build: writes the miniature's archive to a path.
        scratch: where an unfinished download waits.

    Returns:
        One phrase for the stage's last line.

    Raises:
        DifflabError: the archive is missing, is another one, or must be fetched by a person.
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        if settings.source == "data_root":
            file, path = _find(name, settings, root)
        elif settings.source == "download":
            path = _download(name, settings, temporary, scratch)
            file = path.name
        else:
            file = OFFICIAL[name].file
            path = temporary / file
            build(path)
        sha256 = write_source(temporary, settings.source, file, path)
        if settings.source == "data_root" and settings.sha256 not in (None, sha256):
            raise DifflabError(f"{path} has sha256 {sha256}, not {settings.sha256}: it is another archive")
    return f"{name} from {settings.source} ({file})"


def _download(name: str, settings: "ArchiveParams", folder: Path, scratch: Path) -> Path:
    official = OFFICIAL[name]
    if settings.url is None:
        raise DifflabError(
            f"data.{name}.url is not set: {official.by_hand}, put it into a data root as {settings.path} and "
            f"set data.{name}.source=data_root (or data.{name}.url to your own copy)"
        )
    file = PurePosixPath(urlparse(settings.url).path).name or official.file
    download(settings.url, folder / file, scratch / f"{file}.part", settings.sha256)
    _check_layout(name, folder / file)
    return folder / file


def _find(name: str, settings: "ArchiveParams", root: str | None) -> tuple[str, Path]:
    """The archive (name relative to the data root, path): `path`, or the folder it was unpacked to."""
    base = data_root(root)
    ending = next((ending for ending in (*TAR_ENDINGS, ".zip") if settings.path.endswith(ending)), "")
    for file in dict.fromkeys((settings.path, settings.path.removesuffix(ending))):
        if (base / file).exists():
            _check_layout(name, base / file)
            return file, base / file
    raise DifflabError(
        f"{(base / settings.path).resolve()} is missing: {OFFICIAL[name].by_hand} and put it there, "
        f"or set data.{name}.path"
    )


def _check_layout(name: str, path: Path) -> None:
    official = OFFICIAL[name]
    pattern = re.compile(rf"(^|/)({official.layout})$", re.IGNORECASE)
    if not any(pattern.search(member) for member in open_archive(path).names()):
        raise DifflabError(f"{path} does not hold {name}: {official.by_hand}")
