"""COCO captions: annotations/captions_<images>.json beside the folder <images>, e.g. train2017.

Files about train images are the split train, those about val images the split test.
Source: https://cocodataset.org/#format-data
"""

import json
import re
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.images.sets.formats.captioned import Captioned, clean

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive

ANNOTATIONS = re.compile(r"(?:^|/)annotations/captions_((train|val)\w*)\.json$")
_SPLITS = {"train": "train", "val": "test"}


def is_coco(archive: "Archive") -> bool:
    """Whether the archive has COCO's annotations."""
    return any(ANNOTATIONS.search(name) for name in archive.names())


def read(archive: "Archive") -> dict[str, list[Captioned]]:
    """The images of each split by their number in COCO, captions in the order of the file.

    Raises:
        DifflabError: no annotations, or not of the official form; the line names file and entry.
    """
    result: dict[str, list[Captioned]] = {}
    for name in sorted(archive.names()):
        match = ANNOTATIONS.search(name)
        if match is None or name.startswith("__MACOSX/"):
            continue
        split = _SPLITS[match[2]]
        if split in result:
            raise DifflabError(f"{archive.path} has several files of {match[2]} captions: keep one")
        folder = name[: match.start()] + "/" if match.start() else ""
        result[split] = _read_file(archive, name, f"{folder}{match[1]}/")
    if not result:
        raise DifflabError(f"{archive.path} has no annotations/captions_train2017.json: put COCO's annotations there")
    return result


def _read_file(archive: "Archive", name: str, folder: str) -> list[Captioned]:
    where = f"{archive.path}: {name}"
    try:
        content = json.loads(archive.read(name))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DifflabError(f"{where} is not JSON ({error}): fetch it again") from None
    files: dict[int, str] = {}
    for place, image in enumerate(_values(content, "images", list, where)):
        number = _values(image, "id", int, f"{where}, image {place + 1}")
        if number in files:
            raise DifflabError(f"{where}, image {place + 1}: the id {number} occurs twice; correct it")
        files[number] = folder + _values(image, "file_name", str, f"{where}, image {place + 1}")
    captions: dict[int, list[str]] = {number: [] for number in files}
    for place, annotation in enumerate(_values(content, "annotations", list, where)):
        entry = f"{where}, annotation {place + 1}"
        number = _values(annotation, "image_id", int, entry)
        if number not in captions:
            raise DifflabError(f"{entry}: image {number} is not among the images; correct it")
        caption = clean(_values(annotation, "caption", str, entry))
        if not caption:
            raise DifflabError(f"{entry}: the caption is empty; correct it")
        captions[number].append(caption)
    return [Captioned(number, files[number], tuple(captions[number])) for number in sorted(files)]


def _values(entry: Any, key: str, kind: type, where: str) -> Any:
    """The value of `key`, which must be there and of that type."""
    if not isinstance(entry, dict) or key not in entry:
        raise DifflabError(f"{where} lacks '{key}': is it a file of COCO captions?")
    if not isinstance(entry[key], kind):
        raise DifflabError(f"{where}: '{key}' is {entry[key]!r:.40}, not of type {kind.__name__}; correct it")
    return entry[key]
