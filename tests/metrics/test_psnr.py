"""PSNR of tensors is scikit-image's, image by image."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from difflab.metrics.psnr import psnr


@pytest.mark.parametrize("data_range", [1, 2])
def test_it_is_scikit_images(data_range):
    clean, restored = torch.rand(2, 5, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    expected = [
        peak_signal_noise_ratio(a.double().numpy(), b.double().numpy(), data_range=data_range)
        for a, b in zip(clean, restored, strict=True)
    ]
    assert psnr(clean, restored, data_range).tolist() == pytest.approx(expected, rel=1e-12)


def test_eight_bits_do_not_wrap():
    clean, restored = (torch.tensor([[0, 200]], dtype=torch.uint8), torch.tensor([[10, 190]], dtype=torch.uint8))
    assert psnr(clean, restored, 255).item() == pytest.approx(28.1308, abs=1e-4)


def test_one_image_is_compared_with_many_and_equal_ones_are_infinite():
    clean = torch.zeros(1, 4, 4)
    found = psnr(clean, torch.stack([clean, clean + 1, clean - 0.1]), data_range=1)
    assert found.tolist() == pytest.approx([float("inf"), 0, 20], abs=1e-6)
