"""The way from noise to image in frames: which steps are shown, where, and in which colours."""

import numpy as np
import pytest
import torch

from difflab.ddpm.sampling.strip import Strip
from difflab.images.store.tensors import to_uint8


def walked(sigmas, images=3):
    """A strip of grey images: step n, image m is grey 10 n + m."""
    strip = Strip()
    for step, sigma in enumerate(sigmas):
        grey = (10.0 * step + torch.arange(images)).view(-1, 1, 1, 1)
        strip.add(sigma, torch.zeros(images, 3, 4, 4), (grey / 127.5 - 1).expand(-1, 3, 4, 4))
    return strip


def greys(strip, frames, images=3):
    """The greys of the tiles, row by row; finished images are 200 and more."""
    final = np.arange(200, 200 + images, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2)
    tiles, columns = strip.tiles(frames, to_uint8, final.repeat(3, 3))
    assert all(tile.shape == (4, 4, 3) for tile in tiles)
    values = [tile[0, 0, 0].item() for tile in tiles]
    return [values[start : start + columns] for start in range(0, len(values), columns)]


def test_two_images_go_from_left_to_right_and_end_finished():
    strip = walked(np.linspace(100, 1, 10))
    assert greys(strip, frames=4) == [[0, 30, 60, 90, 200], [1, 31, 61, 91, 201]]


def test_few_steps_are_all_shown_once():
    assert greys(walked([3, 2, 1]), frames=20) == [[0, 10, 20, 200], [1, 11, 21, 201]]


def test_one_frame_is_the_first_estimate():
    assert greys(walked([3, 2, 1]), frames=1) == [[0, 200], [1, 201]]


def test_one_image_has_one_row():
    assert greys(walked([2, 1], images=1), frames=5, images=1) == [[0, 10, 200]]


@pytest.mark.parametrize("first", [[3, 2, 1], [3, 2, 2, 1, 1], [3]])
def test_the_second_batch_is_passed_over(first):
    """Heun stands twice on the levels between; one step is a batch by itself."""
    assert greys(walked([*first, *first, *first]), frames=20) == greys(walked(first), frames=20)


def test_estimates_beyond_the_range_are_cut_not_wrapped():
    strip = Strip()
    strip.add(1.0, torch.zeros(2, 3, 4, 4), torch.tensor([-1.04, 1.04]).view(2, 1, 1, 1).expand(2, 3, 4, 4))
    tiles, columns = strip.tiles(1, to_uint8, np.zeros((2, 4, 4, 3), np.uint8))
    assert [set(tile.flatten().tolist()) for tile in tiles[::columns]] == [{0}, {255}]
