"""The miniature's subjects: small emblems that no model has seen, a few pictures of each, as a person's folder has them.

    cross/00.jpg ...  cross/metadata.jsonl      {"file_name": "00.jpg", "text": "Digit over Bricks"}

An emblem is eight rows of eight cells, laid over a darkened photograph. All arithmetic is of integers, so a picture is the
same bytes on every processor. No picture shows a photograph of `UNUSED`: these are left for prompts that nobody trains.
"""

import json
from pathlib import Path

import numpy as np

from difflab.core.base import rng as keyed
from difflab.core.base.files import write_zip
from difflab.miniature.archives.set_archives import jpeg
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import FORMS
from difflab.miniature.data.sources import photos
from difflab.miniature.data.vocabulary import PHOTO_WORDS

PICTURES, SIDE = 12, 32  # of each subject; pixels
UNUSED = ("Astronaut", "Motorcycle", "Temple")
CLASS_WORD = "Digit"  # what the captions call a subject
_FORMS = (FORMS[1], FORMS[2], FORMS[9], FORMS[3])
_FINE = 4  # samples of a pixel's side
_EMBLEMS = {
    "cross": ((255, 226, 84), "...##... ...##... ...##... ######## ######## ...##... ...##... ...##..."),
    "saltire": ((140, 244, 128), "##....## ###..### .######. ..####.. ..####.. .######. ###..### ##....##"),
    "tee": ((128, 200, 255), "######## ######## ...##... ...##... ...##... ...##... ...##... ...##..."),
}
SUBJECTS = tuple(_EMBLEMS)


def write_subjects(path: Path, seed: int) -> None:
    """subjects.zip: a folder for each subject, with its pictures and their captions."""
    files: list[tuple[str, bytes]] = []
    for name in SUBJECTS:
        rows = []
        for number in range(PICTURES):
            image, caption = picture(name, number, seed)
            files.append((f"{name}/{number:02d}.jpg", jpeg(image)))
            rows.append(json.dumps({"file_name": f"{number:02d}.jpg", "text": caption}) + "\n")
        files.append((f"{name}/metadata.jsonl", "".join(rows).encode()))
    write_zip(path, files)


def picture(name: str, number: int, seed: int) -> tuple[np.ndarray, str]:
    """Picture `number` of a subject, uint8 [32, 32, 3], and its caption."""
    known = [photo for photo in PHOTO_NAMES if photo not in UNUSED]
    photo = known[number % len(known)]
    draws = keyed.numpy_rng(seed, "bundled subject", name, number)
    image = _over(_background(photo, draws), name, draws)
    return image, _FORMS[number % len(_FORMS)].format(digit=CLASS_WORD, a="a", photo=PHOTO_WORDS[photo])


def _background(photo: str, draws: np.random.Generator) -> np.ndarray:
    """A square of a photograph, three fifths to all of its short side, averaged and darkened: int64 [32, 32, 3]."""
    whole = photos()[photo]
    height, width, _ = whole.shape
    block = min(height, width) * int(draws.integers(60, 101)) // (100 * SIDE)
    side = block * SIDE
    top, left = int(draws.integers(height - side + 1)), int(draws.integers(width - side + 1))
    square = whole[top : top + side, left : left + side].astype(np.int64)
    return square.reshape(SIDE, block, SIDE, block, 3).sum((1, 3)) * 5 // (8 * block * block)


def _over(background: np.ndarray, name: str, draws: np.random.Generator) -> np.ndarray:
    """The emblem near the middle of a background, with soft edges."""
    colour, rows = _EMBLEMS[name]
    cell = int(draws.integers(11, 14))
    cells = np.array([[mark == "#" for mark in row] for row in rows.split()]).repeat(cell, 0).repeat(cell, 1)
    slack = SIDE * _FINE - len(cells)
    top, left = (slack // 2 + int(draws.integers(-8, 9)) for _ in range(2))
    mask = np.zeros((SIDE * _FINE,) * 2, np.int64)
    mask[top : top + len(cells), left : left + len(cells)] = cells
    covered = mask.reshape(SIDE, _FINE, SIDE, _FINE).sum((1, 3))[..., None]
    whole = _FINE * _FINE
    return ((np.array(colour) * covered + background * (whole - covered)) // whole).astype(np.uint8)
