"""PSNR and SSIM are those of scikit-image, image by image, with Student's interval of the mean."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.restoration import EQUAL_DB, Quality, compare, half_width, psnr, trained_metrics


def noisy_pair(n: int = 6, size: int = 12, channels: int = 3, sigma: float = 0.2) -> list[np.ndarray]:
    draws = rng.numpy_rng(0, "restoration", size, channels)
    clean = draws.random((n, size, size, channels))
    return [x.astype(np.float32) for x in (clean, clean + sigma * draws.normal(size=clean.shape))]


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_has_scikit_images_psnr_and_ssim(channels):
    clean, restored = noisy_pair(channels=channels)
    quality = compare(clean, restored)
    clipped = np.clip(restored, 0, 1)
    for n, (a, b) in enumerate(zip(clean.astype(float), clipped.astype(float), strict=True)):
        assert quality.psnr[n] == peak_signal_noise_ratio(a, b, data_range=1)
        assert quality.ssim[n] == structural_similarity(a, b, data_range=1, channel_axis=-1)


def test_clipped_noise_is_nearer_than_its_sigma_says():
    clean, noisy = noisy_pair(size=64)
    assert (compare(clean, noisy).psnr > -20 * np.log10(0.2) + 0.1).all()  # 13.98 dB


def test_images_are_not_changed_by_being_measured():
    clean, restored = noisy_pair()
    before = restored.copy()
    compare(clean, restored)
    assert np.array_equal(restored, before)


def test_metrics_are_the_means_with_scipys_interval():
    clean, restored = noisy_pair()
    quality = compare(clean, restored)
    metrics = quality.metrics("v1_clipped")
    assert list(metrics) == [f"v1_clipped_{m}{end}" for m in ("psnr", "ssim") for end in ("", "_low", "_high")]
    for name, values in (("psnr", quality.psnr), ("ssim", quality.ssim)):
        assert metrics[f"v1_clipped_{name}"] == values.mean()
        expected = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
        assert (metrics[f"v1_clipped_{name}_low"], metrics[f"v1_clipped_{name}_high"]) == pytest.approx(expected)


def qualities(spread: float, trainings: int = 2, images: int = 300) -> list[Quality]:
    """Images of 20 +- 2 dB, which each training restores with a luck of its own for all of them."""
    draws = rng.numpy_rng(0, "trainings")
    psnr, luck = draws.normal(20, 2, images), spread * np.arange(trainings)
    return [Quality(psnr + own, psnr / 100) for own in luck]


def test_trainings_that_agree_leave_the_interval_of_the_images():
    metrics = trained_metrics(qualities(0.0), "v1")
    alone = qualities(0.0)[0].metrics("v1")
    assert list(metrics) == list(alone)
    assert metrics["v1_psnr"] == pytest.approx(alone["v1_psnr"])
    for end in ("low", "high"):
        assert abs(metrics[f"v1_psnr_{end}"] - alone[f"v1_psnr_{end}"]) < 0.03


def test_trainings_that_differ_widen_the_interval():
    """By one degree of freedom where only they matter: 12.7 standard errors, here of two values 2 dB apart."""
    metrics = trained_metrics(qualities(2.0), "v1")
    assert metrics["v1_psnr_high"] - metrics["v1_psnr"] == pytest.approx(12.7, rel=0.15)


def test_one_training_has_means_alone():
    metrics = trained_metrics(qualities(0.0, trainings=1), "v1")
    assert list(metrics) == ["v1_psnr", "v1_ssim"]


def test_a_single_image_has_no_interval():
    assert half_width(np.array([23.6])) == 0


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 8, 8, 3), (2, 8, 8, 1)), r"\(2, 8, 8, 1\) cannot be compared with images \(2, 8, 8, 3\)"),
        (((2, 6, 9, 3), (2, 6, 9, 3)), "6 x 9 are smaller than SSIM's window of 7"),
    ],
)
def test_images_that_do_not_compare_are_refused(shapes, message):
    with pytest.raises(DifflabError, match=message):
        compare(*map(np.zeros, shapes))


@pytest.mark.parametrize("data_range", [1, 2])
def test_psnr_of_tensors_is_scikit_images(data_range):
    clean, restored = torch.rand(2, 5, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    expected = [
        peak_signal_noise_ratio(a.double().numpy(), b.double().numpy(), data_range=data_range)
        for a, b in zip(clean, restored, strict=True)
    ]
    assert psnr(clean, restored, data_range).tolist() == pytest.approx(expected, rel=1e-12)


def test_psnr_of_eight_bits_does_not_wrap():
    clean, restored = (torch.tensor([[0, 200]], dtype=torch.uint8), torch.tensor([[10, 190]], dtype=torch.uint8))
    assert psnr(clean, restored, 255).item() == pytest.approx(28.1308, abs=1e-4)


def test_one_image_is_compared_with_many_and_equal_ones_have_the_stated_most():
    clean = torch.zeros(1, 4, 4)
    found = psnr(clean, torch.stack([clean, clean + 1, clean - 0.1]), data_range=1)
    assert found.tolist() == pytest.approx([EQUAL_DB, 0, 20], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.sampled_from([1.0, 0.0]), st.booleans())
def test_one_image_that_is_restored_exactly_leaves_every_number_finite(which, value, clip):
    clean = np.random.default_rng(which).random((4, 8, 8, 3))
    clean[which] = value
    noisy = clean + 0.1 * np.random.default_rng(9).random(clean.shape)
    noisy[which] = value
    quality = compare(clean, noisy, clip)
    assert quality.psnr[which] == EQUAL_DB == pytest.approx(138.13, abs=0.01)
    assert np.isfinite(list(quality.metrics("v1").values())).all()


@pytest.mark.parametrize(("side", "value"), [(0, np.nan), (1, np.inf), (0, 255.0), (0, -0.5)])
def test_images_that_are_not_finite_or_of_another_range_are_refused(side, value):
    pair = [np.full((2, 8, 8, 3), 0.5), np.full((2, 8, 8, 3), 0.4)]
    pair[side][1, 0, 0, 0] = value
    with pytest.raises(DifflabError, match=r"not finite|0 to 1 is needed"):
        compare(*pair)
