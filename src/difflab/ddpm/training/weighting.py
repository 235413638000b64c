"""The weight of the squared error of x0 at each sigma. SNR is the ratio of variances, 1 / sigma^2."""

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from difflab.ddpm.params.networks import ObjectiveParams


def weight(sigma: Tensor, params: "ObjectiveParams") -> Tensor:
    """The factor of |D(x) - x0|^2, like `sigma`.

    epsilon    SNR                             the error of the noise is that of x0 over sigma^2 (DDPM's loss)
    v          SNR + 1                         (Salimans and Ho 2022, section 4)
    x0         1
    flow       (1 + sigma)^2 / sigma^2         the error of the velocity noise - x0
    min_snr    min(SNR, gamma)                 (Hang et al. 2023, section 3.4)
    edm        (sigma^2 + sd^2) / (sigma sd)^2 (Karras et al. 2022, table 1)
    """
    snr = sigma.square().reciprocal()
    if params.weighting == "epsilon":
        return snr
    if params.weighting == "v":
        return snr + 1
    if params.weighting == "flow":
        return (1 + sigma).square() * snr
    if params.weighting == "min_snr":
        return snr.clamp_max(params.snr_gamma)
    if params.weighting == "edm":
        return snr + params.sigma_data**-2
    return sigma.new_ones(sigma.shape)
