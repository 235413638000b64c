"""What appears first on the way from noise to image? Power by spatial frequency, measured and expected.

For Gaussian data with power S(f), the expected clean image given x = x0 + sigma * noise is, frequency by
frequency, S / (S + sigma^2) x, whose power is S^2 / (S + sigma^2). A frequency has half its final power when
sigma^2 = S: images have more power at low frequencies, so these appear at higher noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from difflab.errors import DifflabError


@dataclass(frozen=True)
class Spectrum:
    """Power of a set of images around their mean, by frequency.

    Attributes:
        mean: the mean image, float32 [C, H, W].
        power: mean squared Fourier coefficients (orthonormal transform), float64 [C, H, W].
        rings: the band of each frequency, int64 [H, W]; 0 holds the lowest.
        bands: how many there are.
    """

    mean: Tensor
    power: Tensor
    rings: Tensor
    bands: int

    def measured(self, images: Tensor) -> np.ndarray:
        """Mean power of images float32 [n, C, H, W] in each band, float64 [bands]."""
        return self._by_band(_power(images - self.mean))

    def expected(self, sigma: float) -> np.ndarray:
        """The closed form for the power of the expected clean image at `sigma`, float64 [bands]."""
        return self._by_band(self.power.square() / (self.power + sigma**2))

    def half_sigma(self) -> np.ndarray:
        """Sigma at which half of a band's power is there by the closed form, float64 [bands]."""
        sigmas = np.geomspace(1e-3, 1e3, 601)
        shares = np.stack([self.expected(s) for s in sigmas]) / self._by_band(self.power)
        return np.array([half_crossing(sigmas, share) for share in shares.T])

    def _by_band(self, power: Tensor) -> np.ndarray:
        flat = power.mean(0).flatten()
        sums = torch.zeros(self.bands, dtype=torch.float64).index_add_(0, self.rings.flatten(), flat)
        return (sums / torch.bincount(self.rings.flatten(), minlength=self.bands)).numpy()


def spectrum_of(images: Tensor, bands: int) -> Spectrum:
    """The spectrum of images float32 [n, C, H, W] in `bands` rings of equal width up to the Nyquist frequency.

    Corners beyond it belong to the last ring.

    Raises:
        DifflabError: a ring is so narrow that no frequency lies in it.
    """
    mean = images.mean(0)
    height, width = images.shape[-2:]
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)
    radius = (rows.square() + columns.square()).sqrt() / 0.5
    rings = (radius * bands).long().clamp_max(bands - 1)
    if not torch.bincount(rings.flatten(), minlength=bands).all():
        raise DifflabError(f"{bands} bands are too many for images of {height} x {width}: choose fewer")
    return Spectrum(mean, _power(images - mean), rings, bands)


def class_means(images: Tensor, labels: Sequence[str]) -> dict[str, Tensor]:
    """The mean image float32 [C, H, W] of each class, of images float32 [n, C, H, W] with these classes.

    A model that is told the class knows its mean before it sees anything: what appears is the rest.
    """
    return {
        label: images[[row for row, other in enumerate(labels) if other == label]].mean(0)
        for label in sorted(set(labels))
    }


def half_crossing(sigmas: np.ndarray, shares: np.ndarray) -> float:
    """The sigma at which a share that falls with sigma passes one half, between two samples in ln(sigma).

    The nearest end where it never does.
    """
    order = np.argsort(sigmas)
    sigmas, shares = sigmas[order], np.minimum.accumulate(shares[order])
    if shares[0] < 0.5:
        return float(sigmas[0])
    if shares[-1] >= 0.5:
        return float(sigmas[-1])
    above = int(np.flatnonzero(shares >= 0.5)[-1])
    part = (shares[above] - 0.5) / (shares[above] - shares[above + 1])
    low, high = np.log(sigmas[above]), np.log(sigmas[above + 1])
    return float(np.exp(low + part * (high - low)))


def _power(images: Tensor) -> Tensor:
    """Mean over images of the squared orthonormal Fourier coefficients, float64 [C, H, W]."""
    return torch.fft.fft2(images.double(), norm="ortho").abs().square().mean(0)
