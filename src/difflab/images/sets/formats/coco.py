"""COCO captions: annotations/captions_<images>.json beside the folder <images>, e.g. train2017.

The name says the split (`splits`): those about val images are the split test, as COCO's test images have no captions.
Source: https://cocodataset.org/#format-data
"""

import json
import re
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError, printable, reading
from difflab.images.archives.pictures import pass_over_others
from difflab.images.sets.formats.rows import Captioned, clean, once_each
from difflab.images.sets.formats.splits import split_named, two_splits

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

_ANNOTATIONS = re.compile(r"(.*/)?annotations/captions_(\w+)\.json", re.IGNORECASE)


def is_coco(archive: "Archive") -> bool:
    """Whether the archive has COCO's annotations."""
    return bool(annotations(archive))


def annotations(archive: "Archive") -> dict[str, tuple[str, str]]:
    """Files of captions by name, with their split and the folder of the images."""
    found = {}
    for match in filter(None, map(_ANNOTATIONS.fullmatch, sorted(archive.names()))):
        if split := split_named(match[2]):
            found[match[0]] = split, f"{match[1] or ''}{match[2]}/"
    return found


def read(archive: "Archive") -> dict[str, list[Captioned]]:
    """The images of each split by their number in COCO, captions in the order of the file."""
    result: dict[str, list[Captioned]] = {}
    for name, (split, folder) in annotations(archive).items():
        if split in result:
            raise DifflabError(f"{archive.path} has several files of {split} captions: keep one")
        result[split] = _read_file(archive, name, folder)
    if not result:
        raise DifflabError(f"{archive.path} has no annotations/captions_train2017.json: put COCO's annotations there")
    files = {split: [archive.find(image.file) or image.file for image in found] for split, found in result.items()}
    told = two_splits(result, archive, files)
    pass_over_others(archive, {*annotations(archive), *(file for found in files.values() for file in found)})
    return told


def _read_file(archive: "Archive", name: str, folder: str) -> list[Captioned]:
    where = f"{archive.path}: {name}"
    with reading(where, "not JSON; fetch it again"):
        content = json.loads(archive.read(name), object_pairs_hook=once_each)
    files: dict[int, str] = {}
    seen: set[str] = set()
    for place, image in enumerate(_value(content, "images", list, where), start=1):
        entry = f"{where}, image {place}"
        number = _value(image, "id", int, entry)
        if number in files:
            raise DifflabError(f"{entry}: the id {number} occurs twice; correct it")
        files[number] = folder + (file := _value(image, "file_name", str, entry))
        if file in seen:
            raise DifflabError(f"{entry}: '{printable(file)}' occurs twice; give its captions to one image")
        seen.add(file)
    captions: dict[int, list[str]] = {number: [] for number in sorted(files)}
    for place, annotation in enumerate(_value(content, "annotations", list, where), start=1):
        entry = f"{where}, annotation {place}"
        number = _value(annotation, "image_id", int, entry)
        if number not in files:
            raise DifflabError(f"{entry}: image {number} is not among the images; correct it")
        caption = clean(_value(annotation, "caption", str, entry))
        if not caption:
            raise DifflabError(f"{entry}: the caption is empty; correct it")
        captions[number].append(caption)
    return [Captioned(number, files[number], tuple(texts)) for number, texts in captions.items()]


def _value(entry: Any, key: str, kind: type, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise DifflabError(f"{where} lacks '{key}': is it a file of COCO captions?")
    if not isinstance(entry[key], kind):
        raise DifflabError(f"{where}: '{key}' is {entry[key]!r:.40}, not of type {kind.__name__}; correct it")
    return entry[key]
