"""The pictures of a subject, from a folder like any person's: squares, captions, masks, and which of them are left out.

dog/IMG_1.jpg  dog/IMG_2.webp ...     pictures; their files are read, never written
dog/metadata.jsonl                    captions, or a .txt beside each picture; without one the instance prompt
dog/masks/IMG_1.png                   optional: white where the subject is, which is then all that the loss sees; its name
                                      is the picture's, its ending any
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.decoder import decode_image
from difflab.core.base.store.tensors import resized_square
from difflab.images.archives.folder import composed
from difflab.images.archives.pictures import NO_CAPTION, list_pictures
from difflab.images.sets.formats.image_folder import captions
from difflab.personal.words import Words, class_text, instance_text

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive
    from difflab.personal.params import PersonalParams

MASKS = "masks"
_MANY = 50  # pictures from which on this is no few-image study


@dataclass(frozen=True)
class Subject:
    """A subject's pictures, in the order of their names.

    Attributes:
        images: uint8 [n, S, S, 3], the largest square in the middle of each picture.
        texts: for each picture its prompts, with the token; one or more.
        class_texts: the same prompts without the token; empty without a class word.
        masks: float32 [n, S, S] in 0..1, ones where a picture has no mask; None where none has one.
    """

    name: str
    words: Words
    files: tuple[str, ...]
    images: np.ndarray
    texts: tuple[tuple[str, ...], ...]
    class_texts: tuple[tuple[str, ...], ...]
    masks: np.ndarray | None

    def check_pictures(self, most: int, leave_out: int) -> None:
        """Refuse fewer pictures than the largest training asks for: its point of the curve would be one of fewer."""
        kept, _ = self.split(leave_out, 0)
        if most > len(kept):
            raise DifflabError(
                f"personal.pictures lists {most}, but subject {self.name} has {_pictures(len(self.files))} and "
                f"personal.leave_out keeps {leave_out} to measure: list {len(kept)} at most, or add pictures"
            )

    def split(self, leave_out: int, seed: int) -> tuple[list[int], list[int]]:
        """The pictures to train on, in a random order, and those left out, by training: seed k leaves out the k-th lot.

        So n / leave_out seeds leave out every picture once.

        Raises:
            DifflabError: none would be left to train on.
        """
        count = len(self.files)
        if count <= leave_out:
            raise DifflabError(
                f"subject {self.name} has {_pictures(count)} and personal.leave_out keeps {leave_out} to measure: "
                "add pictures (5 to 10 are usual), or lower it"
            )
        order = rng.numpy_rng(0, "personal order", self.name).permutation(count).tolist()
        left_out = [order[(seed * leave_out + n) % count] for n in range(leave_out)]
        return [n for n in order if n not in left_out], left_out


def read_subjects(archive: "Archive", params: "PersonalParams", size: int) -> list[Subject]:
    """The subjects that the parameters name, each from its folder, as squares of `size` pixels.

    Raises:
        DifflabError: a folder or its pictures are absent, two pictures share a name or are the same, a caption belongs to
            no picture or can name no subject, a picture cannot be read, or a mask fits no picture.
    """
    pictures = _by_folder(archive)
    found = captions(archive)
    for file in found:
        if not archive.has(file):
            raise DifflabError(
                f"{archive.path}: there is a caption for {file}, which is absent: add it or drop the row"
            )
    archive.passed_over.pop(NO_CAPTION, None)  # these get the instance prompt
    for line in archive.describe_passed_over():
        print(line, flush=True)
    wanted = [composed(subject.name) for subject in params.subjects]
    if absent := [name for name in wanted if name not in pictures]:
        there = f"it has {', '.join(sorted(pictures)[:10])}" if pictures else "it has no pictures in folders"
        raise DifflabError(f"{archive.path} has no pictures of the subject {absent[0]}: {there}; see personal.subjects")
    subjects = []
    for settings in params.subjects:
        words = Words(params.token, settings.class_word)
        files = pictures[composed(settings.name)]
        subjects.append(_subject(archive, settings.name, files, found, words, params, size))
    return subjects


def _by_folder(archive: "Archive") -> dict[str, list[str]]:
    """The pictures by the name of the folder that holds them, without masks."""
    folders: dict[str, list[str]] = {}
    for name in list_pictures(archive):
        parent = PurePosixPath(name).parent.name
        if parent and not _is_mask(name):
            folders.setdefault(parent, []).append(name)
    return folders


def _is_mask(name: str) -> bool:
    return PurePosixPath(name).parent.name.casefold() == MASKS


def _subject(
    archive: "Archive",
    name: str,
    files: Sequence[str],
    found: Mapping[str, Sequence[str]],
    words: Words,
    params: "PersonalParams",
    size: int,
) -> Subject:
    stems: dict[str, str] = {}
    for file in files:
        if (other := stems.setdefault(PurePosixPath(file).stem.casefold(), file)) != file:
            raise DifflabError(f"subject {name} has two pictures of one name, {other} and {file}: rename one")
    if len(files) > _MANY:
        print(f"subject {name} has {len(files)} pictures, of which at most {max(params.pictures)} are trained on: "
              "so many are a data set, and one for the SD3 study", flush=True)  # fmt: skip
    prompt = params.instance_prompt.replace("{token}", words.token).replace("{class}", words.class_word or "").strip()
    texts, class_texts = [], []
    for file in files:
        given = [instance_text(text, words, file) for text in found.get(file) or (prompt,)]
        texts.append(tuple(given))
        class_texts.append(tuple(class_text(text, words) for text in given) if words.class_word else ())
    images = np.stack([_square(archive.read(file), file, size) for file in files])
    _check_distinct(name, files, images)
    masks = _masks(archive, files, images) if params.masks else None
    return Subject(name, words, tuple(files), images, tuple(texts), tuple(class_texts), masks)


def _check_distinct(name: str, files: Sequence[str], images: np.ndarray) -> None:
    """Refuse a picture that is there twice: left out to measure, it would be trained on all the same."""
    seen: dict[bytes, str] = {}
    for file, image in zip(files, images, strict=True):
        if (other := seen.setdefault(image.tobytes(), file)) != file:
            raise DifflabError(f"subject {name} has the same picture twice, {other} and {file}: remove one")


def _pictures(count: int) -> str:
    return f"{count} picture{'s' * (count != 1)}"


def _square(content: bytes, file: str, size: int) -> np.ndarray:
    return np.asarray(resized_square(decode_image(content, file).convert("RGB"), size))


def _masks(archive: "Archive", files: Sequence[str], images: np.ndarray) -> np.ndarray | None:
    """The mask of each picture from `masks/` beside it, cropped as the picture is."""
    masks, found = np.ones(images.shape[:3], np.float32), 0
    there = _masks_beside(archive, files)
    for number, file in enumerate(files):
        path = there.get(_place(file))
        if path is None:
            continue
        mask = decode_image(archive.read(path), path, ground="black")
        picture = decode_image(archive.read(file), file)
        if mask.size != picture.size:
            sizes = " and ".join(f"{image.size[0]} x {image.size[1]}" for image in (mask, picture))
            raise DifflabError(f"{path} and its picture are {sizes} pixels: draw the mask in the size of the picture")
        masks[number] = np.asarray(resized_square(mask.convert("L"), images.shape[1]), np.float32) / 255
        if not masks[number].any():
            raise DifflabError(f"{path} is black: white says where the subject is, and no loss would be left")
        found += 1
    if found and (without := [file for file in files if _place(file) not in there]):
        print(f"without a mask, and counted whole: {', '.join(without)}", flush=True)
    return masks if found else None


def _masks_beside(archive: "Archive", files: Sequence[str]) -> dict[tuple[str, str], str]:
    """The masks in `masks/` beside these pictures, by the `_place` of the picture that each is of."""
    places = {_place(file) for file in files}
    found: dict[tuple[str, str], str] = {}
    for mask in filter(_is_mask, list_pictures(archive)):
        path = PurePosixPath(mask)
        place = str(path.parent.parent), path.stem.casefold()
        if place[0] not in {folder for folder, _ in places}:  # of another subject
            continue
        if place not in places:
            raise DifflabError(f"{mask} is the mask of no picture: name it like its picture, or remove it")
        if (other := found.setdefault(place, mask)) != mask:
            raise DifflabError(f"{other} and {mask} are masks of one picture: remove one")
    return found


def _place(file: str) -> tuple[str, str]:
    """The folder of a picture, and its name without ending, in any case."""
    path = PurePosixPath(file)
    return str(path.parent), path.stem.casefold()
