"""Every denoiser of the study as a function of noisy images, and what each restores."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import log_ndtr

from difflab.core.base import rng
from difflab.ddpm.networks.networks import load_denoiser

if TYPE_CHECKING:
    from difflab.ddpm.networks.denoiser import Denoiser

VERSIONS = ("v0", "v1", "v2")
NOISES = ("clipped", "unclipped")
Restore = Callable[[np.ndarray], np.ndarray]
"""Noisy images float [n, H, W, C] on [0, 1], which noise may leave, to restored ones."""


def add_noise(clean: np.ndarray, ids: list[str], sigma: float, seed: int, clipped: bool) -> np.ndarray:
    """Noisy images like `clean` (float [n, H, W, C] in 0..1), the noise keyed by seed and sample id."""
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "denoise test"))
    noise = rng.normal(keys, clean.shape[1:]).numpy()
    noisy = clean + np.float32(sigma) * noise
    return np.clip(noisy, 0, 1) if clipped else noisy


def uncut(noisy: np.ndarray, restored: np.ndarray, sigma: float) -> np.ndarray:
    """Cut noisy images with what their cut pixels were before, in expectation given the restored images.

    A pixel at 1 was y >= 1 with y = x + sigma * noise: E[y] = x + sigma phi(a) / (1 - Phi(a)), a = (1 - x) / sigma
    (Tobin 1958, "Estimation of relationships for limited dependent variables"); at 0 likewise. Float [n, H, W, C].
    """
    clean = np.clip(restored, 0, 1)
    above = clean + sigma * _hazard((1 - clean) / sigma)
    below = clean - sigma * _hazard(clean / sigma)
    whole = np.where(noisy >= 1, above, np.where(noisy <= 0, below, noisy))
    return whole.astype(noisy.dtype)


def restore_cut(restore: Restore, noisy: np.ndarray, sigma: float, passes: int = 2) -> np.ndarray:
    """Cut noisy images by a denoiser for whole Gaussian noise: restore, undo the cut, restore again.

    Expectation and maximisation in turns (Dempster et al. 1977); after two passes nothing moves any more.
    """
    restored = restore(noisy)
    for _ in range(passes):
        restored = restore(uncut(noisy, restored, sigma))
    return restored


def _hazard(a: np.ndarray) -> np.ndarray:
    """phi(a) / (1 - Phi(a)) of the standard normal distribution, without loss in its tail."""
    return np.exp(-np.square(a) / 2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-a))


def network_denoiser(folder: Path, sigma: float, self_ensemble: bool, device: torch.device) -> Restore:
    """A trained denoiser at the noise level `sigma` (on [0, 1]) of its schedule.

    Args:
        self_ensemble: average over the image and its mirror image.

    Raises:
        DifflabError: `sigma` is outside the schedule.
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
