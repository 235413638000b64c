"""Pictures of a held-out split that look like one to train on: named and counted in every image set, never dropped."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.images.preparing.image_hashes import ImageHashes, image_hashes, near_pairs

if TYPE_CHECKING:
    from PIL import Image

Look = tuple[int, bytes]
"""Perceptual hash and coloured thumbnail of a picture, see `image_hashes`."""
NEAR = (8, 0.96)  # bits of the hash, correlation of the colours; measured in conf/study/mix.yaml
_NAMED = 10


def look(image: "Image.Image") -> Look | None:
    """What a picture is compared by; None for a grey one, of which nothing can be said, and for one of one colour.

    Most small grey drawings would be the twin of another.
    """
    found = image_hashes([image])
    return None if image.mode == "L" or found.blank[0] else (int(found.hashes[0]), found.colours[0].tobytes())


def near_twins(held_out: Iterable[str], train: Iterable[str], looks: "dict[str, Look]") -> list[tuple[str, str]]:
    """The held-out pictures that look like one to train on, equal ones too, each with the first such: pairs of ids."""
    test, known = ([id for id in ids if id in looks] for ids in (held_out, train))
    pairs = near_pairs(_hashes([looks[id] for id in test]), _hashes([looks[id] for id in known]), *NEAR)
    first = dict(reversed(pairs.tolist()))
    return [(test[row], known[first[row]]) for row in sorted(first)]


def describe(twins: Sequence[tuple[str, str]]) -> list[str]:
    """One line that names the first twins; none where there are none."""
    shown = ", ".join(f"{one} like {other}" for one, other in twins[:_NAMED]) + ", ..." * (len(twins) > _NAMED)
    return [f"{len(twins):,} held-out images look like one to train on: {shown}"] if twins else []


def _hashes(looks: "list[Look]") -> ImageHashes:
    colours = np.frombuffer(b"".join(colours for _, colours in looks), np.uint8).reshape(len(looks), 8, 8, 3)
    return ImageHashes(np.array([hash for hash, _ in looks], np.uint64), colours, np.zeros(len(looks), bool))
