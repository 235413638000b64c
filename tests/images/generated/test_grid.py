"""A grid shows every image at its place."""

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.generated.writer import grid
from difflab.images.generated.writer import tiles as tiles_of


def tiles(count, side):
    return [np.full((side, side, 3), 10 * n, np.uint8) for n in range(count)]


def test_images_lie_row_by_row_on_white():
    picture = np.asarray(grid(tiles(5, 64), ncols=3, padding=2))
    assert picture.shape == (2 * 66 + 2, 3 * 66 + 2, 3)
    for number in range(5):
        top, left = 2 + 66 * (number // 3), 2 + 66 * (number % 3)
        assert (picture[top : top + 64, left : left + 64] == 10 * number).all()
    assert (picture[2 + 66 :, 2 + 2 * 66 :] == 255).all()
    assert (picture[:2] == 255).all()


def test_small_images_are_enlarged_by_a_whole_factor():
    image = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3).astype(np.uint8)
    picture = np.asarray(grid([image], ncols=8, padding=0))
    assert picture.shape == (64, 64, 3)
    assert np.array_equal(picture[::2, ::2], image)
    assert np.array_equal(picture[1::2, 1::2], image)


def test_images_of_the_middle_sizes_keep_them():
    assert grid(tiles(1, 100), ncols=1, padding=1).size == (102, 102)


def test_no_images_are_refused():
    with pytest.raises(DifflabError, match="at least one image"):
        grid([], ncols=4)


def test_large_images_are_made_256_pixels_wide_without_aliases():
    chessboard = np.indices((1024, 1024)).sum(axis=0) % 2 * 255
    image = np.repeat(chessboard[..., None], 3, axis=2).astype(np.uint8)
    picture = np.asarray(grid([image, image], ncols=2))
    assert picture.shape == (260, 518, 3)
    shown = tiles_of(picture, ncols=2, count=2)
    assert all(tile.shape == (256, 256, 3) for tile in shown)
    assert np.abs(shown[0].astype(int) - 127).max() < 8
