"""What appears first on the way from noise to image? Two measures by spatial frequency, each with its closed form.

For Gaussian data with power S(f), the expected clean image given x = x0 + sigma * noise is, frequency by
frequency, S / (S + sigma^2) x (Wiener 1949), of which that share comes from x0: what can be seen of an image at
this noise. The deterministic way (Song et al. 2021, section 4.3) leads from x to the image
sqrt(S / (S + sigma^2)) x. The estimate on the way is therefore sqrt(S / (S + sigma^2)) times the final image, with
S / (S + sigma^2) of its power. A frequency is half there when sigma^2 = S: images have more power at low
frequencies, so these appear at higher noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError


@dataclass(frozen=True)
class Spectrum:
    """Power of a set of images, by frequency.

    Attributes:
        power: mean squared Fourier coefficients (orthonormal transform), float64 [C, H, W].
        rings: the band of each frequency, int64 [H, W]; 0 holds the lowest.
        bands: how many there are.
    """

    power: Tensor
    rings: Tensor
    bands: int

    def recovered(self, estimates: Tensor, clean: Tensor) -> np.ndarray:
        """How much of clean images their estimates from noisy ones hold, by band: float64 [bands], 0 nothing, 1 all.

        The slope of the estimates on the clean images, so that what an estimate adds by itself counts for nothing.

        Args:
            estimates, clean: float32 [n, C, H, W], each around the mean of its class.
        """
        estimate, image = _coefficients(estimates), _coefficients(clean)
        shared = self._by_band((estimate * image.conj()).real.mean(0))
        return shared / self._by_band(image.abs().square().mean(0))

    def decided(self, estimates: Tensor, final: Tensor) -> np.ndarray:
        """How much of the power of final images the estimates on the way have already, as `recovered`: its square."""
        return np.square(np.maximum(self.recovered(estimates, final), 0))

    def expected_recovered(self, sigma: float) -> np.ndarray:
        """The closed form of `recovered` at `sigma`, float64 [bands]."""
        return self._mean_gain(self.power / (self.power + sigma**2))

    def expected_decided(self, sigma: float) -> np.ndarray:
        """The closed form of `decided` at `sigma`, float64 [bands]."""
        return np.square(self._mean_gain((self.power / (self.power + sigma**2)).sqrt()))

    def _mean_gain(self, gain: Tensor) -> np.ndarray:
        return self._by_band(gain * self.power) / self._by_band(self.power)

    def _by_band(self, power: Tensor) -> np.ndarray:
        flat = power.mean(0).flatten()
        sums = torch.zeros(self.bands, dtype=torch.float64).index_add_(0, self.rings.flatten(), flat)
        return (sums / torch.bincount(self.rings.flatten(), minlength=self.bands)).numpy()


def spectrum_of(images: Tensor, bands: int) -> Spectrum:
    """The spectrum of images float32 [n, C, H, W] around their mean, in `bands` rings of equal width.

    They go up to the Nyquist frequency; corners beyond it belong to the last ring.

    Raises:
        DifflabError: a ring is so narrow that no frequency lies in it.
    """
    height, width = images.shape[-2:]
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)
    radius = (rows.square() + columns.square()).sqrt() / 0.5
    rings = (radius * bands).long().clamp_max(bands - 1)
    if not torch.bincount(rings.flatten(), minlength=bands).all():
        raise DifflabError(f"{bands} bands are too many for images of {height} x {width}: choose fewer")
    return Spectrum(_power(images - images.mean(0)), rings, bands)


def around_class_means(images: Tensor, labels: Sequence[str]) -> Tensor:
    """Images float32 [n, C, H, W] less the mean of those of their class.

    A model that is told the class knows the mean before it sees anything: what appears is the rest.
    """
    around = images.clone()
    for label in set(labels):
        rows = [row for row, other in enumerate(labels) if other == label]
        around[rows] -= images[rows].mean(0)
    return around


def half_sigma(expected: Callable[[float], np.ndarray]) -> np.ndarray:
    """Sigma at which a band is half there by a closed form of `Spectrum`, float64 [bands]."""
    sigmas = np.geomspace(1e-3, 1e3, 601)
    shares = np.stack([expected(sigma) for sigma in sigmas])
    return np.array([half_crossing(sigmas, share) for share in shares.T])


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


def _coefficients(images: Tensor) -> Tensor:
    """Orthonormal Fourier coefficients, complex128 [n, C, H, W]."""
    return torch.fft.fft2(images.double(), norm="ortho")


def _power(images: Tensor) -> Tensor:
    """Mean over images of the squared coefficients, float64 [C, H, W]."""
    return _coefficients(images).abs().square().mean(0)
