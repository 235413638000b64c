"""Images become equal squares: the middle, resized by an antialiased filter, never enlarged."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.images.sets.square import Square, square_png
from difflab.images.store.tensors import to_tensor, to_uint8
from fakes.set_archives import decoded, encoded, pixels


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_pixels_of_the_wanted_size_are_kept_exactly(shape):
    square = square_png((pixels(*shape), 8))
    assert np.array_equal(decoded(square.image), pixels(*shape))
    assert (square.cropped, square.problem) == (False, "")


@pytest.mark.parametrize(("width", "height"), [(40, 40), (40, 25), (25, 41)])
def test_it_is_the_rule_by_which_networks_are_fed(width, height):
    content = encoded(width, height)
    square = square_png((content, 16))
    expected = to_uint8(to_tensor([Image.open(io.BytesIO(content))], 16))[0]
    assert np.array_equal(decoded(square.image), expected)
    assert square.cropped == (width != height)


def test_the_camera_s_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    turned = decoded(square_png((encoded(8, 8, exif=exif), 8)).image)
    assert np.array_equal(turned, np.rot90(decoded(encoded(8, 8)), -1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_encoded_images_of_any_mode_become_rgb(mode):
    buffer = io.BytesIO()
    Image.new(mode, (8, 8)).save(buffer, format="PNG")
    assert decoded(square_png((buffer.getvalue(), 8)).image).shape == (8, 8, 3)


def test_small_and_unreadable_images_are_said_to_be():
    assert square_png((encoded(7, 30), 8)) == Square(b"", False, "small")
    for content in (b"", b"not an image", encoded(30, 30)[:500]):
        assert square_png((content, 8)) == Square(b"", False, "unreadable")


def test_the_bytes_are_the_same_every_time():
    assert square_png((pixels(9, 9, 3), 8)) == square_png((torch.from_numpy(pixels(9, 9, 3)).numpy(), 8))


def test_sixteen_bits_of_grey_are_scaled_not_cut():
    levels = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format="PNG")
    stored = np.asarray(Image.open(io.BytesIO(square_png((buffer.getvalue(), 8)).image)))
    assert np.abs(stored[..., 0] - levels / 257).max() <= 0.5


def test_transparent_pixels_are_white():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 255  # red that nobody sees
    pixels[:4, :, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    stored = np.asarray(Image.open(io.BytesIO(square_png((buffer.getvalue(), 8)).image)))
    assert (stored[:4] == [255, 0, 0]).all()
    assert (stored[4:] == 255).all()
