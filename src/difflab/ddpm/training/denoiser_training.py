"""The training of the pixel models, to be read from top to bottom, and their held-out loss.

The whole data set lies on the device as uint8; flips, noise and conditions are drawn there. Nothing in a step
makes the host wait for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import graceful_stop, resolve_device
from difflab.core.base.store.tensors import per_sample, to_float
from difflab.training import shares
from difflab.training.data_order import SampleStream
from difflab.training.loop import Log, Loop, Validate
from difflab.training.optimizer import adamw_with_cosine, autocast_of

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.ddpm.common.conditions import Conditions
    from difflab.ddpm.common.denoiser import Denoiser
    from difflab.ddpm.params import ImageTrainingParams
    from difflab.ddpm.training.objective import Corruption
    from difflab.training.curve import Row

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the schedule's timesteps, for the held-out loss


@dataclass(frozen=True)
class TrainingImages:
    """The images that a model trains on, in memory."""

    ids: list[str]
    pixels: Tensor  # uint8 [N, C, H, W], or float32 latents of any range
    condition: "Conditions | None" = None  # by row; None for unconditional models

    def to(self, device: torch.device) -> "TrainingImages":
        condition = None if self.condition is None else self.condition.to(device)
        return TrainingImages(self.ids, self.pixels.to(device), condition)


def train_denoiser(
    model: nn.Module,
    images: TrainingImages,
    corruption: "Corruption",
    weight: Callable[[Tensor], Tensor],
    settings: "ImageTrainingParams",
    *,
    seed: int,
    runtime: "RuntimeParams",
    scratch: Path,
    what: str,
    validate: Validate | None = None,
    log: Log = lambda values, step: None,
) -> "list[Row]":
    """Train `model(x, level, condition) -> x0` on weight(level) * |model - x0|^2, the mean over pixels.

    Every random number belongs to (seed, sample id, epoch). A run that was stopped is resumed from its state
    in `scratch`, bit for bit on a CPU. On return the model holds the final weights (the average, where
    `settings.ema_decay` > 0), on the training device, in eval mode.

    Args:
        model: a `Denoiser` or a `Restorer`.
        weight: levels [B] to weights [B].
        scratch, what, validate, log: see `Loop`, also for what it raises.

    Returns:
        The curve: a row every `validation_interval` steps and at the end; with `validate`, at the start too.
    """
    if not images.ids:
        raise DifflabError(f"{what}: there is no image to train on")
    device, autocast = resolve_device(runtime.device), autocast_of(runtime)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    model.to(device=device, memory_format=layout)
    images = images.to(device)
    optimizer, schedule = adamw_with_cosine(model, settings)
    stream, seed_key = SampleStream(rng.id_keys(images.ids), seed), rng.key(seed, "image training")
    forward = torch.compile(model) if runtime.compile else model

    def batch_at(step: int) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor] | None]:
        """Clean images, corrupted images, levels and conditions of this process's share of a step."""
        index, keys = shares.own(*stream.take(step * settings.batch_size, settings.batch_size))
        index, keys = (t.to(device, non_blocking=True) for t in (index, rng.fold(keys, seed_key)))
        x0 = to_float(images.pixels[index])
        if settings.flip:
            mirrored = rng.uniform(rng.fold(keys, rng.key(0, "flip"))) < 0.5
            x0 = torch.where(per_sample(mirrored, x0), x0.flip(-1), x0)
        x, level = corruption(x0, keys)
        condition = None
        if images.condition is not None:
            dropped = rng.uniform(rng.fold(keys, rng.key(0, "condition"))) < settings.condition_dropout
            condition = images.condition.draw(index, rng.fold(keys, rng.key(0, "prompt")), dropped)
        return x0, x.contiguous(memory_format=layout), level, condition

    with graceful_stop(what) as stop:
        loop = Loop(
            model=model, optimizer=optimizer, schedule=schedule, settings=settings, what=what, scratch=scratch,
            stop=stop, identity_of=[seed, settings.model_dump(), images.ids], seed=seed,
            samples_per_step=settings.batch_size, row_interval=settings.validation_interval,
            ema_decay=settings.ema_decay, validate=validate, log=log,
        )  # fmt: skip
        for step in loop.steps():
            with loop.speed.waiting():
                x0, x, level, condition = batch_at(step)
            loss = torch.zeros((), device=device)
            if len(x0):
                with autocast:
                    restored = forward(x, level, condition)
                loss = (weight(level) * (restored - x0).square().flatten(1).mean(1)).mean()
                loss = shares.weighted(loss, len(x0), settings.batch_size)
                loss.backward()
            loop.update(loss)
    return loop.curve.rows


@torch.no_grad()
def held_out_errors(denoiser: "Denoiser", unseen: TrainingImages, batch_size: int = 128) -> dict[str, float]:
    """Mean squared error of the noise, whatever the network predicts, at five timesteps.

    Images, noise and timesteps are the same each time, so that two values compare.

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
            sigma = denoiser.schedule.sigma(timestep)
            restored = denoiser(x0 + per_sample(sigma, x0) * noise, sigma, condition)
            sums[place] += ((restored - x0).square().flatten(1).mean(1) / sigma.square()).double().sum()
    means = (sums / len(unseen.ids)).tolist()
    by_timestep = {f"val_loss_t_{share}": value for share, value in zip(SHARES, means, strict=True)}
    return {"val_loss": sum(means) / len(means), **by_timestep}
