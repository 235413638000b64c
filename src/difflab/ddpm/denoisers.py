"""Every denoiser of the study as a function of noisy images: networks, and classical ones that they have to beat."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_ndtr

from difflab.core.base import rng
from difflab.ddpm.common.networks import load_denoiser
from difflab.metrics.uncertainty.restoration import psnr

if TYPE_CHECKING:
    from difflab.ddpm.common.denoiser import Denoiser

VERSIONS = ("v0", "v1", "v2")
NOISES = ("clipped", "unclipped")
NLM_STRENGTHS = (0.6, 0.8, 1.0, 1.2)  # of the cut-off, in sigmas
TV_WEIGHTS = (0.08, 0.12, 0.16, 0.2, 0.25)
Restore = Callable[[np.ndarray], np.ndarray]
"""Noisy images float [n, H, W, C] on [0, 1], which noise may leave, to restored ones."""


def add_noise(clean: np.ndarray, ids: list[str], sigma: float, seed: int, clipped: bool) -> np.ndarray:
    """Noisy images like `clean` (float [n, H, W, C] in 0..1), the noise keyed by seed and sample id."""
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "denoise test"))
    noisy = clean + np.float32(sigma) * rng.normal(keys, clean.shape[1:]).numpy()
    return np.clip(noisy, 0, 1) if clipped else noisy


def network_denoiser(folder: Path, sigma: float, self_ensemble: bool, device: torch.device) -> Restore:
    """A trained denoiser at the noise level `sigma` (on [0, 1]), which its schedule must reach.

    `self_ensemble` takes the mean over the image and its mirror image.
    """
    denoiser, _ = load_denoiser(folder, device)
    denoiser.schedule.require(2 * sigma)
    return lambda noisy: restore(denoiser, noisy, sigma, self_ensemble, device)


@torch.inference_mode()
def restore(
    denoiser: "Denoiser", noisy: np.ndarray, sigma: float, self_ensemble: bool, device: torch.device
) -> np.ndarray:
    """D(x, 2 sigma) of images [n, H, W, C] on [0, 1], which are x on [-1, 1]."""
    parts = []
    for part in torch.from_numpy(noisy).permute(0, 3, 1, 2).float().split(256):
        x = (2 * part - 1).to(device)
        level = x.new_full((len(x),), 2 * sigma)
        x0 = denoiser(x, level)
        if self_ensemble:
            x0 = (x0 + denoiser(x.flip(-1), level).flip(-1)) / 2
        parts.append((x0.cpu() + 1) / 2)
    return torch.cat(parts).permute(0, 2, 3, 1).numpy()


def restore_clipped(restore: Restore, noisy: np.ndarray, sigma: float, passes: int = 2) -> np.ndarray:
    """Clipped noisy images by a denoiser for unclipped Gaussian noise: restore, impute, restore again.

    Expectation and maximisation in turns (Dempster et al. 1977); after two passes nothing moves any more.
    """
    restored = restore(noisy)
    for _ in range(passes):
        restored = restore(impute_clipped(noisy, restored, sigma))
    return restored


def impute_clipped(noisy: np.ndarray, restored: np.ndarray, sigma: float) -> np.ndarray:
    """Noisy images with the expectation of their clipped pixels before clipping, given the restored images.

    A pixel at 1 was y >= 1 with y = x + sigma * noise: E[y] = x + sigma phi(a) / (1 - Phi(a)), a = (1 - x) / sigma
    (Tobin 1958, "Estimation of relationships for limited dependent variables"); at 0 likewise. Float [n, H, W, C].
    """
    clean = np.clip(restored, 0, 1)
    above = clean + sigma * _hazard((1 - clean) / sigma)
    below = clean - sigma * _hazard(clean / sigma)
    return np.where(noisy >= 1, above, np.where(noisy <= 0, below, noisy)).astype(noisy.dtype)


def _hazard(a: np.ndarray) -> np.ndarray:
    """phi(a) / (1 - Phi(a)) of the standard normal distribution, without loss in its tail."""
    return np.exp(-np.square(a) / 2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-a))


def linear_denoiser(clean: np.ndarray, sigma: float) -> Restore:
    """The best linear denoiser for the mean and covariance of clean images (Wiener 1949).

        x_hat = mu + C (C + sigma^2 I)^-1 (y - mu)

    Mean and covariance are those of training images, float [n, H, W, C] in 0..1. With C = R^T R the smaller of two equal
    forms is solved: C (C + sigma^2 I)^-1 = R^T (R R^T + sigma^2 I)^-1 R (Woodbury).
    """
    flat = clean.reshape(len(clean), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    root = (flat - mean) / np.sqrt(len(flat) - 1)
    few = len(root) < root.shape[1]
    gram = root @ root.T if few else root.T @ root
    factor = cho_factor(gram + sigma**2 * np.eye(len(gram)))

    def restore(noisy: np.ndarray) -> np.ndarray:
        around = (noisy.reshape(len(noisy), -1) - mean).T
        found = root.T @ cho_solve(factor, root @ around) if few else cho_solve(factor, gram @ around)
        return (mean + found.T).reshape(noisy.shape)

    return restore


def non_local_means(noisy: np.ndarray, sigma: float, strength: float) -> np.ndarray:
    """Non-local means of scikit-image (Buades, Coll and Morel 2005), images [n, H, W, C] in 0..1."""
    from skimage.restoration import denoise_nl_means

    settings = {"patch_size": 5, "patch_distance": 6, "h": strength * sigma, "sigma": sigma}
    return np.stack([denoise_nl_means(x, fast_mode=True, channel_axis=-1, **settings) for x in noisy])


def total_variation(noisy: np.ndarray, weight: float) -> np.ndarray:
    """Total-variation denoising of scikit-image (Chambolle 2004), images [n, H, W, C] in 0..1."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(x, weight=weight, channel_axis=-1) for x in noisy])


def tuned(clean: np.ndarray, noisy: np.ndarray, sigma: float) -> dict[str, Restore]:
    """Non-local means and total variation, each with the setting of highest mean PSNR on training images."""

    def quality(restored: np.ndarray) -> float:
        return psnr(torch.from_numpy(clean), torch.from_numpy(np.clip(restored, 0, 1)), data_range=1).mean().item()

    nlm = [partial(non_local_means, sigma=sigma, strength=strength) for strength in NLM_STRENGTHS]
    tv = [partial(total_variation, weight=weight) for weight in TV_WEIGHTS]
    return {name: max(some, key=lambda restore: quality(restore(noisy))) for name, some in (("nlm", nlm), ("tv", tv))}
