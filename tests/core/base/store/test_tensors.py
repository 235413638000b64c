"""Images in and out of the networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import check_finite, to_tensor, to_uint8


def smooth(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9) * np.cos(y / 7), np.cos(x / 5 + y / 11), np.sin((x - y) / 8)]
    return Image.fromarray(np.rint(127.5 + 120 * np.stack(waves, -1)).astype(np.uint8))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_an_image_of_the_right_size_survives_the_round_trip(seed):
    image = np.random.default_rng(seed).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    tensor = to_tensor(image, 8)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (1, 3, 8, 8)
    assert tensor.min() >= -1
    assert tensor.max() <= 1
    assert np.array_equal(to_uint8(tensor), image)


@pytest.mark.parametrize(("width", "height", "size"), [(64, 64, 16), (96, 64, 32), (48, 81, 20), (32, 32, 48)])
def test_it_is_the_centre_crop_under_torchs_antialiased_bicubic_resize(width, height, size):
    image = smooth(width, height)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = np.asarray(image)[top : top + side, left : left + side]
    pixels = torch.from_numpy(square.copy()).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(pixels, (size, size), mode="bicubic", antialias=True)
    found = (to_tensor([image], size) + 1) * 127.5
    assert (found - expected.clamp(0, 255)).abs().max() < 1.5  # PIL rounds to whole levels


def test_grey_and_palette_images_become_rgb():
    grey = Image.new("L", (8, 8), 255)
    assert to_tensor([grey, grey.convert("P")], 8).eq(1).all()


def test_values_outside_the_range_are_clamped_and_rounded():
    values = torch.tensor([-3.0, -1.0, 0.0, 1.0, 9.0, 0.0041]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 128]


def test_mixed_sizes_share_a_batch():
    assert to_tensor([smooth(30, 20), np.asarray(smooth(9, 40))], 12).shape == (2, 3, 12, 12)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([float("nan"), float("inf"), float("-inf")]), st.integers(0, 3), st.integers(0, 47))
def test_a_number_that_is_not_finite_never_becomes_a_pixel(value, image, place):
    images = torch.zeros(4, 3, 4, 4)
    images[image].view(-1)[place] = value
    with pytest.raises(DifflabError, match=rf"picture of id-{image} is not finite"):
        to_uint8(images, [f"id-{n}" for n in range(4)])
    with pytest.raises(DifflabError, match=rf"picture number {image} is not finite"):
        to_uint8(images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_finite_values_of_every_precision_pass(dtype):
    check_finite(torch.full((2, 3), 60000.0, dtype=dtype), [], "it")
    with pytest.raises(DifflabError, match="number 0 is not finite"):
        check_finite(torch.full((1,), float("inf"), dtype=dtype)[:, None], [], "it")
