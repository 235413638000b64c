"""Denoisers without a network: what a trained one has to beat."""

from collections.abc import Callable

import numpy as np
import torch

from difflab.metrics.restoration import psnr

NLM_STRENGTHS = (0.6, 0.8, 1.0, 1.2)  # of the cut-off, in sigmas
TV_WEIGHTS = (0.08, 0.12, 0.16, 0.2, 0.25)


class LinearDenoiser:
    """The best linear denoiser for the mean and covariance of clean images (Wiener 1949).

        x_hat = mu + C (C + sigma^2 I)^-1 (y - mu)

    Args:
        clean: training images, float [n, H, W, C] in 0..1.
        sigma: standard deviation of the noise on [0, 1].
    """

    def __init__(self, clean: np.ndarray, sigma: float) -> None:
        flat = clean.reshape(len(clean), -1).astype(np.float64)
        self.mean = flat.mean(axis=0)
        values, self.vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
        self.gains = np.clip(values, 0, None) / (np.clip(values, 0, None) + sigma**2)

    def __call__(self, noisy: np.ndarray) -> np.ndarray:
        """Denoise [n, H, W, C]."""
        flat = noisy.reshape(len(noisy), -1) - self.mean
        return (self.mean + ((flat @ self.vectors) * self.gains) @ self.vectors.T).reshape(noisy.shape)


def non_local_means(noisy: np.ndarray, sigma: float, strength: float) -> np.ndarray:
    """Non-local means of scikit-image (Buades, Coll and Morel 2005), images [n, H, W, C] in 0..1."""
    from skimage.restoration import denoise_nl_means

    settings = {"patch_size": 5, "patch_distance": 6, "h": strength * sigma, "sigma": sigma}
    return np.stack([denoise_nl_means(x, fast_mode=True, channel_axis=-1, **settings) for x in noisy])


def total_variation(noisy: np.ndarray, weight: float) -> np.ndarray:
    """Total-variation denoising of scikit-image (Chambolle 2004), images [n, H, W, C] in 0..1."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(x, weight=weight, channel_axis=-1) for x in noisy])


def tuned(clean: np.ndarray, noisy: np.ndarray, sigma: float) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Non-local means and total variation, each with the setting of highest mean PSNR on training images."""
    nlm = max(NLM_STRENGTHS, key=lambda s: _mean_psnr(clean, non_local_means(noisy, sigma, s)))
    tv = max(TV_WEIGHTS, key=lambda w: _mean_psnr(clean, total_variation(noisy, w)))
    return {"nlm": lambda images: non_local_means(images, sigma, nlm), "tv": lambda images: total_variation(images, tv)}


def _mean_psnr(clean: np.ndarray, restored: np.ndarray) -> float:
    images = torch.from_numpy(clean), torch.from_numpy(np.clip(restored, 0, 1))
    return psnr(*images, data_range=1).mean().item()
