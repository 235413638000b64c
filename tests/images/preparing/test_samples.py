"""Images become squares: the middle, resized by an antialiased filter, never enlarged; or that around a face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from difflab.core.base.files import png_bytes
from difflab.core.base.store.decoder import decode_image
from difflab.core.base.store.tensors import to_tensor, to_uint8
from difflab.images.preparing.samples import checked, face_png, face_square, readable, shows_face, square_png
from fakes.set_archives import decoded, encoded, pixels


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_pixels_of_the_size_are_kept_exactly(shape):
    square = square_png((pixels(*shape), 8))
    assert np.array_equal(decoded(square.image), pixels(*shape))
    assert square[1:4] == (8, 8, False)


@pytest.mark.parametrize(("width", "height"), [(40, 40), (40, 25), (25, 41)])
def test_it_is_the_rule_by_which_networks_are_fed(width, height):
    content = encoded(width, height)
    square = square_png((content, 16))
    expected = to_uint8(to_tensor([decode_image(content, "a")], 16))[0]
    assert np.array_equal(decoded(square.image), expected)
    assert square.cropped == (width != height)


def test_small_and_unreadable_images_are_said_to_be():
    assert square_png((encoded(7, 30), 8)) == face_png((encoded(7, 30), (0, 0, 3, 3), 8)) == "small"
    for content in (b"", b"not an image", encoded(30, 20)[:500]):
        jobs = {checked: content, face_png: (content, (0, 0, 3, 3), 8), square_png: (content, 8)}
        assert [readable(function, job) for function, job in jobs.items()] == ["unreadable"] * 3


def test_the_bytes_are_the_same_every_time():
    assert square_png((pixels(9, 9, 3), 8)) == square_png((pixels(9, 9, 3).copy(), 8))


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((1024, 768), (300, 100, 200, 280), (16, 0, 784, 768)),
        ((768, 2000), (300, 1700, 300, 400), (0, 1232, 768, 2000)),
        ((256, 256), (0, 0, 256, 256), (0, 0, 256, 256)),
    ],
)
def test_golden_squares_around_faces(size, box, expected):
    assert face_square(*size, box) == expected


SIDE = st.integers(1, 3000)
BOX = st.tuples(st.integers(-200, 3200), st.integers(-200, 3200), SIDE, SIDE)


@given(SIDE, SIDE, BOX)
def test_it_is_the_largest_square_inside_the_image(width, height, box):
    left, top, right, bottom = face_square(width, height, box)
    assert right - left == bottom - top == min(width, height)
    assert 0 <= left <= right <= width
    assert 0 <= top <= bottom <= height


@given(SIDE, SIDE, BOX)
def test_no_other_square_is_nearer_to_the_middle_of_the_face(width, height, box):
    left, top, right, bottom = face_square(width, height, box)
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2

    def distance(shift_x, shift_y):
        return abs((left + right) / 2 + shift_x - x) + abs((top + bottom) / 2 + shift_y - y)

    for shift_x, shift_y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        inside = left + shift_x >= 0 and right + shift_x <= width and top + shift_y >= 0 and bottom + shift_y <= height
        if inside:
            assert distance(0, 0) <= distance(shift_x, shift_y) + 1  # whole pixels round by at most one


@given(SIDE, SIDE, BOX)
def test_mirroring_image_and_box_mirrors_the_square(width, height, box):
    _, top, right, _ = face_square(width, height, box)
    mirrored = face_square(width, height, (width - box[0] - box[2], box[1], box[2], box[3]))
    assert abs(mirrored[0] - (width - right)) <= 1
    assert mirrored[1] == top


@pytest.mark.parametrize(
    "box",
    [
        (600, 274, 343, 475),
        (-400, -300, 100, 100),
        (10, 10, 20, 0),
        (10, 10, -5, 20),
        (0, 0, 1000, 1000),
        (170, 0, 90, 90),
    ],
)
def test_an_image_that_does_not_show_the_face_of_its_box_is_left_out(box):
    content = png_bytes(Image.new("RGB", (178, 218), "grey"))
    assert face_png((content, box, 40)) == "no_face_box"


@given(st.integers(20, 300), st.integers(20, 300), st.data())
def test_a_box_inside_its_image_is_shown_and_one_moved_off_it_is_not(width, height, data):
    x, y = data.draw(st.integers(0, width - 2)), data.draw(st.integers(0, height - 2))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    assert shows_face(width, height, (x, y, w, h))
    for dx, dy in ((width, 0), (-width, 0), (0, height), (0, -height)):
        assert not shows_face(width, height, (x + dx, y + dy, w, h))
