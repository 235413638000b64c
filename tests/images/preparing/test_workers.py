"""Images become equal squares: the middle, resized by an antialiased filter, never enlarged."""

import numpy as np
import pytest

from difflab.images.preparing.workers import UNREADABLE, Prepared, checked, face_png, square_png
from difflab.images.store.decoder import decode_image
from difflab.images.store.tensors import to_tensor, to_uint8
from fakes.set_archives import decoded, encoded, pixels


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_pixels_of_the_size_are_kept_exactly(shape):
    square = square_png((pixels(*shape), 8))
    assert np.array_equal(decoded(square.image), pixels(*shape))
    assert square[1:] == (8, 8, "", False)


@pytest.mark.parametrize(("width", "height"), [(40, 40), (40, 25), (25, 41)])
def test_it_is_the_rule_by_which_networks_are_fed(width, height):
    content = encoded(width, height)
    square = square_png((content, 16))
    expected = to_uint8(to_tensor([decode_image(content, "a")], 16))[0]
    assert np.array_equal(decoded(square.image), expected)
    assert square.cropped == (width != height)


def test_small_and_unreadable_images_are_said_to_be():
    assert square_png((encoded(7, 30), 8)) == Prepared(b"", 7, 30, "small")
    assert face_png((encoded(7, 30), (0, 0, 3, 3), 8)) == Prepared(b"", 7, 30, "small")
    for content in (b"", b"not an image", encoded(30, 30)[:500]):
        assert square_png((content, 8)) == checked(content) == UNREADABLE
        assert face_png((content, (0, 0, 3, 3), 8)) == UNREADABLE
    assert face_png((encoded(30, 20)[:500], (0, 0, 3, 3), 8)) == UNREADABLE


def test_the_bytes_are_the_same_every_time():
    assert square_png((pixels(9, 9, 3), 8)) == square_png((pixels(9, 9, 3).copy(), 8))
