"""How near a restored image is to the clean one: PSNR in training; PSNR and SSIM of scikit-image with intervals."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import check_finite
from difflab.metrics.uncertainty.paired import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

EQUAL_DB = 10 * math.log10(255**2 / 1e-9)  # 138.1 dB: what equal images count, whose PSNR is infinite
SETTINGS = (
    "per image on [0, 1], at most 138.1 dB (equal images), then the mean; "
    "SSIM of scikit-image's default, a 7 x 7 window, over channels"
)


def psnr(clean: "Tensor", restored: "Tensor", data_range: float) -> "Tensor":
    """10 log10(data_range^2 / mean squared error) in dB, image by image, as scikit-image's.

    Args:
        clean: [n, ...], or of a shape that broadcasts to that of `restored`; nothing is clamped.
        data_range: 2 for images in [-1, 1], 255 for 8 bits.

    Returns:
        float64 [n], at most `EQUAL_DB`, which equal images have: one that is restored exactly leaves a mean finite.

    Raises:
        DifflabError: an image is not finite.
    """
    difference = restored.cpu().double() - clean.cpu().double()
    check_finite(difference, (), "the difference of image")
    error = difference.square().flatten(1).mean(1)
    return (10 * (data_range**2 / error).log10()).clamp_max(EQUAL_DB)


@dataclass(frozen=True)
class Quality:
    """PSNR (dB) and SSIM of each image, float64 [n]."""

    psnr: np.ndarray
    ssim: np.ndarray

    def metrics(self, prefix: str) -> dict[str, float]:
        """Means and their 95 % intervals over images: `<prefix>_psnr`, `..._psnr_low`, `..._psnr_high`, ..."""
        result = {}
        for name, values in vars(self).items():
            mean, half = float(values.mean()), half_width(values)
            result |= _with_interval(f"{prefix}_{name}", mean, mean - half, mean + half)
        return result


def trained_metrics(trainings: "Sequence[Quality]", prefix: str) -> dict[str, float]:
    """Means over trainings and images with 95 % intervals that count both (`difflab.metrics.uncertainty.paired.interval`).

    Names are those of `Quality.metrics`; of one training there are the means alone.

    Args:
        trainings: the quality of the same images, restored by each training of a model.
    """
    import pandas as pd

    result = {}
    for name in vars(trainings[0]):
        values = pd.DataFrame([getattr(quality, name) for quality in trainings])
        if len(values) > 1:
            found = interval(values)
            result |= _with_interval(f"{prefix}_{name}", found.mean, found.low, found.high)
        else:
            result[f"{prefix}_{name}"] = float(values.to_numpy().mean())
    return result


def _with_interval(name: str, mean: float, low: float, high: float) -> dict[str, float]:
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def compare(clean: np.ndarray, restored: np.ndarray, clip: bool = True) -> Quality:
    """Quality of restored images against clean ones in 0..1, both float [n, H, W, C].

    Args:
        clip: clip `restored` to 0..1, as saving it would; False measures noise as it was added.

    Raises:
        DifflabError: no images, different shapes, images smaller than SSIM's window of 7 pixels, images that are not
            finite, or clean ones outside 0..1.

    PSNR is at most `EQUAL_DB`, see `psnr`.
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    if clean.shape != restored.shape:
        raise DifflabError(f"images {restored.shape} cannot be compared with images {clean.shape}")
    if not len(clean):
        raise DifflabError("there are no images to compare")
    if min(clean.shape[1:3]) < 7:
        raise DifflabError(f"images of {clean.shape[1]} x {clean.shape[2]} are smaller than SSIM's window of 7")
    for name, images in (("clean", clean), ("restored", restored)):
        if not np.isfinite(images).all():
            raise DifflabError(f"{name} images are not finite (NaN or infinite): look at the model or take float32")
    if clean.size and not 0 <= clean.min() <= clean.max() <= 1:
        raise DifflabError(f"clean images have values from {clean.min():g} to {clean.max():g}: 0 to 1 is needed")
    restored = np.clip(restored, 0, 1) if clip else restored
    pairs = list(zip(clean.astype(np.float64), restored.astype(np.float64), strict=True))
    with np.errstate(divide="ignore"):  # equal images
        psnr = [min(float(peak_signal_noise_ratio(a, b, data_range=1.0)), EQUAL_DB) for a, b in pairs]
    ssim = [structural_similarity(a, b, data_range=1.0, channel_axis=-1) for a, b in pairs]
    return Quality(np.array(psnr), np.array(ssim))


def half_width(values: np.ndarray) -> float:
    """Half of the 95 % interval of the mean, by Student's t; 0 for a single value."""
    from scipy.stats import t

    if len(values) < 2:
        return 0.0
    return float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
