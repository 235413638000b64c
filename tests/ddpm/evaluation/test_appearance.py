"""What appears first, as tables: against Wiener's filter, and whatever the rest of the images is."""

import numpy as np
import torch

from difflab.ddpm.evaluation.appearance import decided_table, halves, recovered_table
from difflab.ddpm.evaluation.spectrum import around_class_means, half_sigma, spectrum_of

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
    where = torch.device("cpu")
    return recovered_table(denoise, clean, ids, LABELS, spectrum, SIGMAS, seed=seed, device=where)


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
