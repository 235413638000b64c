"""What a file shows is the same wherever it comes in: kept as it is, cropped around a face, or made a square."""

import numpy as np
import pytest
from PIL import Image

from difflab.core.base.store.decoder import decode_image
from difflab.images.preparing.samples import checked, face_png, square_png
from fakes import pictures

WIDE, SIDE = 48, 32


def cutout(hidden: tuple[int, int, int]) -> Image.Image:
    pixels = np.full((SIDE, WIDE, 4), (*hidden, 0), np.uint8)
    pixels[8:24, 8:40] = (200, 60, 30, 255)
    return Image.fromarray(pixels)


RAMP = np.tile(np.linspace(0, 65535, WIDE).astype(np.uint16), (SIDE, 1))
FILES = {
    "turned": pictures.turned(pictures.smooth(WIDE, SIDE), 6, "JPEG", "exif", quality=97),
    "black under transparency": pictures.saved(cutout((0, 0, 0))),
    "green under transparency": pictures.saved(cutout((10, 230, 10))),
    "16 bits": pictures.saved(Image.fromarray(RAMP)),
    "Adobe RGB": pictures.saved(pictures.smooth(WIDE, SIDE), icc_profile=pictures.icc_profile()),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_way_in_shows_what_the_decoder_shows(kind):
    shown = decode_image(FILES[kind], kind)
    assert shown.size == (WIDE, SIDE)
    kept = checked(FILES[kind])
    assert (kept.image, kept.width, kept.height) == (FILES[kind], WIDE, SIDE)
    face = decode_image(face_png((FILES[kind], (0, 0, SIDE, SIDE), SIDE)).image, kind)
    assert np.array_equal(np.asarray(face), np.asarray(shown.crop((0, 0, SIDE, SIDE))))
    square = decode_image(square_png((FILES[kind], SIDE)).image, kind)
    assert np.array_equal(np.asarray(square), np.asarray(shown.crop((8, 0, 40, SIDE))))


def test_files_that_look_alike_give_the_same_pixels():
    black, green = (np.asarray(decode_image(FILES[f"{c} under transparency"], c)) for c in ("black", "green"))
    assert np.array_equal(black, green)
    assert (black[0, 0] == 255).all()
    assert len(np.unique(np.asarray(decode_image(FILES["16 bits"], "a")))) == WIDE
