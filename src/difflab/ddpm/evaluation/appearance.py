"""What appears first, as tables: sigma, band, share, expected_share (in closed form, see `spectrum`)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.ddpm.evaluation.spectrum import Spectrum, around_class_means, half_crossing

if TYPE_CHECKING:
    from difflab.ddpm.networks.denoiser import Denoise


@torch.no_grad()
def recovered_table(
    denoise: "Denoise",
    clean: Tensor,
    ids: Sequence[str],
    labels: Sequence[str],
    spectrum: Spectrum,
    sigmas: Iterable[float],
    *,
    seed: int,
    device: torch.device,
) -> pd.DataFrame:
    """How much of clean images a denoiser finds in their noisy versions, around the means of their classes.

    Args:
        denoise: is told the classes already.
        clean: float32 [n, C, H, W] in -1..1; the noise, the same at each sigma, is keyed by seed and id.
    """
    noise = rng.normal(rng.fold(rng.id_keys(ids), rng.key(seed, "process")), clean.shape[1:])
    around, rows = around_class_means(clean, labels), []
    for sigma in sigmas:
        noisy, level = (clean + sigma * noise).to(device), torch.full((len(clean),), sigma, device=device)
        estimate = around_class_means(denoise(noisy, level).float().cpu(), labels)
        rows += _rows(sigma, spectrum.recovered(estimate, around), spectrum.expected_recovered(sigma))
    return pd.DataFrame(rows)


def decided_table(estimates: Sequence[tuple[float, Tensor]], spectrum: Spectrum) -> pd.DataFrame:
    """How much of the final images is decided on the way of samples.

    Args:
        estimates: sigma and x0 float32 [n, C, H, W] around the means of their classes; the last one is final.
    """
    _, final = estimates[-1]
    rows = []
    for sigma, estimate in estimates:
        rows += _rows(sigma, spectrum.decided(estimate, final), spectrum.expected_decided(sigma))
    return pd.DataFrame(rows)


def halves(table: pd.DataFrame) -> list[float]:
    """The sigma at which half of each band is there."""
    bands = [rows for _, rows in table.groupby("band")]
    return [half_crossing(rows["sigma"].to_numpy(), rows["share"].to_numpy()) for rows in bands]


def _rows(sigma: float, shares: np.ndarray, expected: np.ndarray) -> list[dict[str, float]]:
    pairs = enumerate(zip(shares, expected, strict=True))
    return [{"sigma": sigma, "band": n, "share": share, "expected_share": other} for n, (share, other) in pairs]
