"""What `difflab plan` and `difflab doctor` say of a person's own pictures, before any stage looks at them."""

from functools import cache
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.decoder import UnreadableImage, image_size
from difflab.images import own_pictures
from difflab.images.archives.acquire import find_own
from difflab.images.archives.opening import Archive, open_archive
from difflab.images.own_pictures import LEAST, OwnPictures
from difflab.images.preparing.samples import read_image
from difflab.sd3.artifacts.cells import OWN

LOOKED_AT = 1000  # pictures whose headers are read; more would take minutes


def own_folder(params: Any) -> tuple[str, str]:
    """What `data.own` holds, by the reader of `prepare_celeba_hq`, and what to do where it is too little ("": enough)."""
    given, min_side = params.data.celeba_hq.path, params.prepare.min_side
    try:
        archive, pictures = _read(given)
    except DifflabError as error:
        return f"{given}: cannot be used", str(error)
    files = pictures.table["file"].tolist()
    bad = [file for file in files[:LOOKED_AT] if not _is_usable(archive, file, min_side)]
    told = [f"{archive.path}: {len(files):,} pictures, {len(pictures.captions):,} with captions"]
    told += [f"{len(set(pictures.groups.values())):,} groups"] if pictures.groups else []
    told += [f"{len(bad):,} unreadable or smaller than prepare.min_side {min_side}"] if bad else []
    told += [f"{count:,} other files passed over"] if (count := archive.count_passed_over()) else []
    if params.trained_on[OWN] == OWN and not pictures.captions:
        told.append("no adapters of own captions")
    least = sum(LEAST.values())
    few = (
        f"{least} usable pictures at least: add some, or lower cache.latents.image_size"
        if len(files) - len(bad) < least
        else ""
    )
    return ", ".join(told), few


def count_own(given: str) -> int:
    """How many pictures there are; none where they cannot be read."""
    try:
        return len(_read(given)[1].table)
    except DifflabError:
        return 0


@cache
def _read(given: str) -> tuple[Archive, OwnPictures]:
    archive = open_archive(find_own(given))
    return archive, own_pictures.read(archive)


def _is_usable(archive: Archive, file: str, min_side: int) -> bool:
    try:
        return min(image_size(read_image(archive, file), file)) >= min_side
    except UnreadableImage:
        return False
