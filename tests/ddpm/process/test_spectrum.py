"""What appears first: power by frequency against Parseval, Monte Carlo and Wiener's filter, and where half is there."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.ddpm.common.data import Split
from difflab.ddpm.process.spectrum import (
    Spectrum,
    around_class_means,
    decided_table,
    half_crossing,
    half_sigma,
    halves,
    recovered_table,
    spectrum_of,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def natural(count: int, size: int = 16) -> torch.Tensor:
    """Gaussian images around a mean image, with power that falls with frequency as in photographs."""
    frequency = torch.fft.fftfreq(size)
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    amplitude = 1 / (0.05 + radius) / 8
    noise = torch.fft.fft2(normal(count, 3, size, size).double(), norm="ortho")
    mean = torch.linspace(-1, 1, size)
    return (torch.fft.ifft2(amplitude * noise, norm="ortho").real + mean).float()


def test_white_noise_has_the_same_power_everywhere():
    spectrum = spectrum_of(0.7 * normal(2000, 3, 16, 16), bands=5)
    np.testing.assert_allclose(spectrum.power, 0.49, rtol=0.2)
    np.testing.assert_allclose(spectrum.expected_recovered(0.7), 0.5, rtol=0.02)
    np.testing.assert_allclose(spectrum.expected_decided(0.7), 0.5, rtol=0.02)


def test_the_power_of_all_frequencies_is_the_variance_of_all_pixels():
    images = natural(50)
    power = spectrum_of(images, bands=5).power.sum()
    assert power.item() == pytest.approx((images - images.mean(0)).square().sum().item() / 50, rel=1e-5)


def test_band_0_holds_the_lowest_frequencies_and_the_last_one_the_corners():
    rings = spectrum_of(natural(2, size=8), bands=4).rings
    assert rings[0].tolist() == [0, 1, 2, 3, 3, 3, 2, 1]
    assert torch.equal(rings, rings.T)
    assert rings[4, 4] == rings.max() == 3


def filtered(images: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    return torch.fft.ifft2(gain * torch.fft.fft2(images.double())).real.float()


@pytest.mark.parametrize("sigma", [0.1, 0.5, 3.0])
def test_the_closed_form_is_what_the_exact_way_of_gaussian_data_decides(sigma):
    """The way that ends in an image passes sqrt((S + sigma^2) / S) times it (Song et al. 2021, section 4.3)."""
    clean = natural(300)
    final = clean - clean.mean(0)
    spectrum = spectrum_of(clean, bands=6)
    gain = spectrum.power / (spectrum.power + sigma**2)
    noisy = filtered(final, gain.rsqrt())
    estimate = filtered(noisy, gain)  # Wiener's
    np.testing.assert_allclose(spectrum.decided(estimate, final), spectrum.expected_decided(sigma), rtol=1e-4)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 3.0])
def test_the_closed_form_is_what_wieners_filter_recovers(sigma):
    clean = natural(1000)
    clean = clean - clean.mean(0)
    spectrum = spectrum_of(clean, bands=6)
    gain = spectrum.power / (spectrum.power + sigma**2)
    estimate = filtered(clean + sigma * normal(*clean.shape, seed=1), gain)
    np.testing.assert_allclose(spectrum.recovered(estimate, clean), spectrum.expected_recovered(sigma), rtol=0.05)


def test_what_an_estimate_adds_by_itself_recovers_nothing():
    clean = natural(2000) - natural(2000).mean(0)
    spectrum = spectrum_of(clean, bands=4)
    np.testing.assert_allclose(spectrum.recovered(clean, clean), 1)
    added = 2 * normal(*clean.shape, seed=2)
    np.testing.assert_allclose(spectrum.recovered(0.5 * clean + added, clean), 0.5, atol=0.1)


def test_what_does_not_stay_decides_nothing():
    final = natural(2000) - natural(2000).mean(0)
    spectrum = spectrum_of(final, bands=4)
    np.testing.assert_allclose(spectrum.decided(final, final), 1)
    np.testing.assert_allclose(spectrum.decided(0.5 * final + normal(*final.shape, seed=2), final), 0.25, atol=0.06)
    assert spectrum.decided(-final, final).tolist() == [0, 0, 0, 0]


@settings(max_examples=15)  # each looks at 601 sigmas
@given(st.floats(1e-4, 1e4))
def test_a_flat_band_has_half_its_power_at_the_root_of_it(power):
    flat = Spectrum(torch.full((1, 4, 4), power).double(), torch.zeros(4, 4).long(), 1)
    assert half_sigma(flat.expected_recovered) == pytest.approx([power**0.5], rel=1e-3)
    assert half_sigma(flat.expected_decided) == pytest.approx([power**0.5], rel=1e-3)


def test_coarse_structure_appears_at_higher_noise():
    sigmas = half_sigma(spectrum_of(natural(500), bands=6).expected_recovered)
    assert sigmas.tolist() == sorted(sigmas, reverse=True)


def test_bands_without_a_frequency_are_refused():
    with pytest.raises(DifflabError, match="32 bands are too many for images of 16 x 16"):
        spectrum_of(natural(2), bands=32)


falling = st.lists(st.floats(0, 1), min_size=2, max_size=12, unique=True).map(lambda s: sorted(s)[::-1])


@given(falling, st.floats(1e-2, 1e2), st.randoms(use_true_random=False))
def test_the_half_lies_between_the_samples_on_both_sides_of_it_in_any_order(shares, scale, random):
    sigmas = scale * 1.5 ** np.arange(len(shares))
    order = random.sample(range(len(shares)), len(shares))
    found = half_crossing(sigmas[order], np.array(shares)[order])
    above = [s for s, share in zip(sigmas, shares, strict=True) if share >= 0.5]
    below = [s for s, share in zip(sigmas, shares, strict=True) if share < 0.5]
    assert max(above, default=sigmas[0]) * (1 - 1e-9) <= found <= min(below, default=sigmas[-1]) * (1 + 1e-9)


@given(st.floats(0.02, 50), st.floats(0.1, 10))
def test_the_half_scales_with_sigma(middle, factor):
    sigmas = np.geomspace(0.01, 100, 200)
    shares = 1 / (1 + (sigmas / middle) ** 2)
    assert half_crossing(sigmas, shares) == pytest.approx(middle, rel=1e-2)
    assert half_crossing(factor * sigmas, shares) == pytest.approx(factor * half_crossing(sigmas, shares))


def test_a_share_that_never_crosses_gives_the_nearest_end():
    sigmas = np.array([0.1, 1.0, 10.0])
    assert half_crossing(sigmas, np.array([0.4, 0.2, 0.1])) == pytest.approx(0.1)
    assert half_crossing(sigmas, np.array([1.0, 0.9, 0.8])) == pytest.approx(10)


def test_a_measured_share_that_comes_back_counts_where_it_first_left():
    sigmas = np.array([1.0, 2.0, 4.0, 8.0])
    assert half_crossing(sigmas, np.array([1.0, 0.5, 0.4, 0.6])) == pytest.approx(2.0)


def test_images_are_taken_around_the_mean_of_their_class():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(-1, 3, 2, 2)
    around = around_class_means(images, ["cat", "owl", "cat", "owl"])
    assert around[:, 0, 0, 0].tolist() == [-1, -1, 1, 1]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


SIGMAS = [0.02, 0.1, 0.5, 2.0, 10.0]
LABELS = ["cat", "owl"] * 150
IDS = [f"image-{n}" for n in range(300)]


def pictures() -> torch.Tensor:
    """Two classes with a mean each, and Gaussian pictures around it with power that falls with frequency."""
    frequency = torch.fft.fftfreq(16)
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    noise = torch.randn(300, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    around = torch.fft.ifft2(torch.fft.fft2(noise) / (0.05 + radius) / 8).real.float()
    return around + torch.linspace(-1, 1, 16) * torch.tensor([1.0, -1.0]).repeat(150).view(-1, 1, 1, 1)


def table_of(denoise, clean=None, ids=IDS, seed=1):
    clean = pictures() if clean is None else clean
    spectrum = spectrum_of(around_class_means(clean, LABELS), bands=4)
    split = Split(ids, clean, LABELS)
    return recovered_table(denoise, split, spectrum, SIGMAS, seed=seed, device=torch.device("cpu"))


def wiener(clean: torch.Tensor):
    """The best linear denoiser, which knows the mean of each class."""
    around = around_class_means(clean, LABELS)
    power, mean = spectrum_of(around, bands=4).power, clean - around

    def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        gain = power / (power + sigma[0].item() ** 2)
        return torch.fft.ifft2(gain * torch.fft.fft2((x - mean).double())).real.float() + mean

    return denoise


def test_wieners_filter_finds_its_closed_form():
    table = table_of(wiener(pictures()))
    np.testing.assert_allclose(table["share"], table["expected_share"], atol=0.02)


def test_what_wieners_filter_finds_is_in_the_order_of_the_frequencies():
    found = halves(table_of(wiener(pictures())))
    assert found == sorted(found, reverse=True)
    spectrum = spectrum_of(around_class_means(pictures(), LABELS), bands=4)
    np.testing.assert_allclose(found, half_sigma(spectrum.expected_recovered), rtol=0.35)  # five sigmas only


def test_there_is_a_row_for_each_sigma_and_band():
    table = table_of(lambda x, sigma: x)
    assert table["sigma"].unique().tolist() == SIGMAS
    assert table.groupby("sigma")["band"].apply(list).tolist() == [[0, 1, 2, 3]] * len(SIGMAS)


def test_the_mean_of_a_class_is_nothing_found():
    clean = pictures()
    mean = clean - around_class_means(clean, LABELS)
    np.testing.assert_allclose(table_of(lambda x, sigma: mean)["share"], 0, atol=1e-6)


def test_the_noise_belongs_to_the_id_and_the_seed():
    seen = []

    def note(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x

    clean = pictures()
    table_of(note, clean)
    table_of(note, clean, ids=IDS[::-1])
    table_of(note, clean, seed=2)
    first, reversed_, other = (seen[n * len(SIGMAS)] - clean for n in range(3))
    torch.testing.assert_close(first, reversed_.flip(0), atol=1e-6, rtol=0)
    assert (first - other).abs().max() > 0.01


def test_the_final_image_is_decided_at_the_end():
    final = around_class_means(pictures(), LABELS)
    spectrum = spectrum_of(final, bands=4)
    table = decided_table([(5.0, 0 * final), (1.0, 0.5 * final), (0.0, final)], spectrum)
    np.testing.assert_allclose(table["share"], np.repeat([0, 0.25, 1], 4), atol=1e-6)
    np.testing.assert_allclose(table["expected_share"][8:], 1)
