"""Getting the archive of an image set: from the data root, by download, or built as the miniature."""

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlparse

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, read_json
from difflab.images.acquire.download import download
from difflab.images.archives import archive
from difflab.images.archives.opening import TAR_ENDINGS, open_archive

if TYPE_CHECKING:
    from difflab.images.params import ArchiveParams, DataParams


class Official(NamedTuple):
    """What a person has to know about an archive."""

    file: str  # the name upstream gives it
    layout: str  # a pattern of file names by which it is recognised
    by_hand: str  # what to do where it is not there


OFFICIAL = {
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


def acquire(dataset: str, folder: Path, data: "DataParams", seed: int, scratch: Path) -> str:
    """Make data/raw/<dataset>: source.json, and the archive unless it stays in the data root.

    Args:
        dataset: cifar10, mnist, scenes, coco or recipes.
        folder: the output folder, replaced as a whole.
        scratch: where an unfinished download waits.

    Returns:
        One phrase for the stage's last line.

    Raises:
        DifflabError: the archive is missing, or is another one.
    """
    settings = getattr(data, dataset)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        if settings.source == "bundled":
            name = OFFICIAL[dataset].file
            _build(dataset, temporary / name, seed)
            archive.write_source(temporary, "bundled", name, temporary / name)
        elif settings.source == "download":
            name = _download(dataset, settings, temporary, scratch)
            archive.write_source(temporary, "download", name, temporary / name)
        else:
            name, path = _find(dataset, settings, data.data_root)
            archive.write_source(temporary, "data_root", name, path)
            _check_hash(temporary, settings, path)
    return f"{dataset} from {settings.source} ({name})"


def _build(dataset: str, path: Path, seed: int) -> None:
    from difflab.miniature.archives import set_archives

    getattr(set_archives, f"write_{dataset}")(path, seed)


def _download(dataset: str, settings: "ArchiveParams", folder: Path, scratch: Path) -> str:
    if settings.url is None:
        raise DifflabError(
            f"{dataset} has no address: {OFFICIAL[dataset].by_hand}, put it into a data root as "
            f"{settings.path} and set data.{dataset}.source=data_root (or data.{dataset}.url to your own copy)"
        )
    name = PurePosixPath(urlparse(settings.url).path).name or OFFICIAL[dataset].file
    download(settings.url, folder / name, scratch / f"{name}.part", settings.sha256)
    _check_layout(dataset, folder / name)
    return name


def _find(dataset: str, settings: "ArchiveParams", root: str | None) -> tuple[str, Path]:
    """The archive (name relative to the data root, path): `path`, or the folder it was unpacked to."""
    base = archive.data_root(root)
    for name in dict.fromkeys((settings.path, _without_ending(settings.path))):
        if (base / name).exists():
            _check_layout(dataset, base / name)
            return name, base / name
    raise DifflabError(
        f"{(base / settings.path).resolve()} is missing: {OFFICIAL[dataset].by_hand} and put it there, "
        f"or set data.{dataset}.path"
    )


def _without_ending(path: str) -> str:
    ending = next((ending for ending in (*TAR_ENDINGS, ".zip") if path.endswith(ending)), "")
    return path.removesuffix(ending)


def _check_layout(dataset: str, path: Path) -> None:
    official = OFFICIAL[dataset]
    pattern = re.compile(rf"(^|/)({official.layout})$", re.IGNORECASE)
    if not any(pattern.search(name) for name in open_archive(path).names()):
        raise DifflabError(f"{path} does not hold {dataset}: {official.by_hand}")


def _check_hash(folder: Path, settings: "ArchiveParams", path: Path) -> None:
    found = read_json(folder / archive.SOURCE_FILE)["sha256"]
    if settings.sha256 not in (None, found):
        raise DifflabError(f"{path} has sha256 {found}, not {settings.sha256}: it is another archive")
