"""Squares: the one in the middle, and around a face with published examples and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.images.store.crop import centre_square, face_square


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((1024, 768), (300, 100, 200, 280), (16, 0, 784, 768)),
        ((768, 2000), (300, 1700, 300, 400), (0, 1232, 768, 2000)),
        ((256, 256), (0, 0, 256, 256), (0, 0, 256, 256)),
    ],
)
def test_golden(size, box, expected):
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


@given(SIDE, SIDE)
def test_the_centre_square_is_that_of_a_face_in_the_middle(width, height):
    left, top, right, bottom = centre_square(width, height)
    face = face_square(width, height, (0, 0, width, height))
    assert right - left == bottom - top == min(width, height)
    assert max(abs(a - b) for a, b in zip((left, top), face[:2], strict=True)) <= 1
