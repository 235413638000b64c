"""The held-out loss of a denoiser: the same images, noise and timesteps each time, so that two values compare."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.broadcast import per_sample
from difflab.images.store.tensors import to_float

if TYPE_CHECKING:
    from difflab.ddpm.networks.denoiser import Denoiser
    from difflab.ddpm.training.training_images import TrainingImages

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the schedule's timesteps


@torch.no_grad()
def held_out_errors(denoiser: "Denoiser", unseen: "TrainingImages", batch_size: int = 128) -> dict[str, float]:
    """Mean squared error of the noise, whatever the network predicts, at five timesteps.

    Returns:
        {"val_loss": mean over them, "val_loss_t_0.1": ..., ...}.
    """
    device = next(denoiser.parameters()).device
    unseen = unseen.to(device)
    sums = torch.zeros(len(SHARES), dtype=torch.float64, device=device)
    for index in torch.arange(len(unseen.ids), device=device).split(batch_size):
        keys = rng.id_keys([unseen.ids[i] for i in index.tolist()]).to(device)
        x0 = to_float(unseen.pixels[index])
        noise = rng.normal(rng.fold(keys, rng.key(0, "held-out noise")), x0.shape[1:])
        condition = None
        if unseen.condition is not None:
            condition = unseen.condition.draw(index, keys, torch.zeros_like(index, dtype=torch.bool))
        for place, share in enumerate(SHARES):
            timestep = x0.new_full((len(x0),), share * (len(denoiser.schedule) - 1))
            sums[place] += _noise_error(denoiser, x0, noise, denoiser.schedule.sigma(timestep), condition)
    means = (sums / len(unseen.ids)).tolist()
    by_timestep = {f"val_loss_t_{share}": value for share, value in zip(SHARES, means, strict=True)}
    return {"val_loss": sum(means) / len(means), **by_timestep}


def _noise_error(
    denoiser: "Denoiser", x0: Tensor, noise: Tensor, sigma: Tensor, condition: dict[str, Tensor] | None
) -> Tensor:
    """The sum over samples of the mean squared error of the noise, float64, 0-d."""
    restored = denoiser(x0 + per_sample(sigma, x0) * noise, sigma, condition)
    return ((restored - x0).square().flatten(1).mean(1) / sigma.square()).double().sum()
