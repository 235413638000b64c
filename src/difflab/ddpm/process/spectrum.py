"""What appears first along the sampling trajectory? Two measures by spatial frequency, each with its closed form.

For Gaussian data with power S(f), the expected clean image given x = x0 + sigma * noise is, frequency by
frequency, S / (S + sigma^2) x (Wiener 1949), of which that share comes from x0: what can be seen of an image at
this noise. The deterministic trajectory (Song et al. 2021, section 4.3) leads from x to the image
sqrt(S / (S + sigma^2)) x. The estimate on it is therefore sqrt(S / (S + sigma^2)) times the final image, with
S / (S + sigma^2) of its power. A frequency is half there when sigma^2 = S: images have more power at low
frequencies, so these appear at higher noise.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import to_float

if TYPE_CHECKING:
    from difflab.ddpm.common.data import Split
    from difflab.ddpm.common.denoiser import Denoise


def _coefficients(images: Tensor) -> Tensor:
    """Orthonormal Fourier coefficients, complex128 [n, C, H, W]."""
    return torch.fft.fft2(images.double(), norm="ortho")


@dataclass(frozen=True)
class Spectrum:
    """Power of a set of images, by frequency."""

    power: Tensor  # mean squared Fourier coefficients (orthonormal transform), float64 [C, H, W]
    rings: Tensor  # the band of each frequency, int64 [H, W]; 0 holds the lowest
    bands: int  # how many there are

    def recovered(self, estimates: Tensor, clean: Tensor) -> np.ndarray:
        """How much of clean images their estimates from noisy ones hold, by band: float64 [bands], 0 nothing, 1 all.

        The slope of the estimates on the clean images (both float32 [n, C, H, W], around the means of their classes),
        so that what an estimate adds by itself counts for nothing.
        """
        estimate, image = _coefficients(estimates), _coefficients(clean)
        shared = self._by_band((estimate * image.conj()).real.mean(0))
        return shared / self._by_band(image.abs().square().mean(0))

    def decided(self, estimates: Tensor, final: Tensor) -> np.ndarray:
        """How much of the power of final images the estimates have already, as `recovered`: its square."""
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

    They go up to the Nyquist frequency; corners beyond it belong to the last ring. Rings so narrow that no frequency
    lies in one are refused.
    """
    height, width = images.shape[-2:]
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)
    radius = (rows.square() + columns.square()).sqrt() / 0.5
    rings = (radius * bands).long().clamp_max(bands - 1)
    if not torch.bincount(rings.flatten(), minlength=bands).all():
        raise DifflabError(f"{bands} bands are too many for images of {height} x {width}: choose fewer")
    power = _coefficients(images - images.mean(0)).abs().square().mean(0)
    return Spectrum(power, rings, bands)


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
    falling = np.minimum.accumulate(shares[order])
    return float(np.exp(np.interp(0.5, falling[::-1], np.log(sigmas[order])[::-1])))


@torch.no_grad()
def recovered_table(
    denoise: "Denoise", unseen: "Split", spectrum: Spectrum, sigmas: Iterable[float], *, seed: int, device: torch.device
) -> pd.DataFrame:
    """How much of clean images a denoiser finds in their noisy versions, around the means of their classes.

    `denoise` is told the classes already. The noise, the same at each sigma, is keyed by seed and id.

    Returns:
        Columns sigma, band, share, expected_share (in closed form).
    """
    clean, labels = to_float(unseen.pixels), unseen.labels
    noise = rng.normal(rng.fold(rng.id_keys(unseen.ids), rng.key(seed, "process")), clean.shape[1:])
    around, shares = around_class_means(clean, labels), []
    for sigma in sigmas:
        noisy, level = (clean + sigma * noise).to(device), torch.full((len(clean),), sigma, device=device)
        estimate = around_class_means(denoise(noisy, level).float().cpu(), labels)
        shares.append((sigma, spectrum.recovered(estimate, around)))
    return _table(shares, spectrum.expected_recovered)


def decided_table(estimates: Sequence[tuple[float, Tensor]], spectrum: Spectrum) -> pd.DataFrame:
    """How much of the final images is fixed along the trajectory; columns as in `recovered_table`.

    An estimate is sigma and x0, float32 [n, C, H, W] around the means of their classes; the last one is final.
    """
    _, final = estimates[-1]
    return _table([(sigma, spectrum.decided(x0, final)) for sigma, x0 in estimates], spectrum.expected_decided)


def _table(shares: Iterable[tuple[float, np.ndarray]], expected: Callable[[float], np.ndarray]) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"sigma": sigma, "band": range(len(share)), "share": share, "expected_share": expected(sigma)})
        for sigma, share in shares
    ]
    return pd.concat(tables, ignore_index=True)


def halves(table: pd.DataFrame) -> list[float]:
    """The sigma at which half of each band is there, by band."""
    bands = [rows for _, rows in table.groupby("band")]
    return [half_crossing(rows["sigma"].to_numpy(), rows["share"].to_numpy()) for rows in bands]
