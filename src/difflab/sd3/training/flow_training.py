"""The training of rectified flow (Liu et al. 2022; Esser et al. 2024, section 2), for LoRA and for full training.

sigma is the share of noise on the straight path from the clean latent (0) to pure noise (1). Networks of diffusers
take the timestep `NUM_TRAIN_TIMESTEPS * sigma` and predict the velocity dx_t / dsigma = noise - x0.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from difflab.core.base.runtime import StopSignal, graceful_stop, interrupted, process_index, resolve_device
from difflab.core.base.store.tensors import per_sample
from difflab.training import flops, shares
from difflab.training.loop import Log, Loop
from difflab.training.optimizer import adamw_with_schedule, autocast_of

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.sd3.training.density import SigmaDensity
    from difflab.sd3.training.examples import Batch, Examples
    from difflab.training.curve import Row
    from difflab.training.params import FlowTrainingParams

NUM_TRAIN_TIMESTEPS = 1000
HELD_OUT_SIGMAS = (0.1, 0.25, 0.5, 0.75, 0.9)
HELD_OUT_SEED = 0  # the same noise for every run, so that repetitions of a training compare


def train_flow(
    transformer: nn.Module,
    examples: "Examples",
    held_out: "Examples | None",
    settings: "FlowTrainingParams",
    density: "SigmaDensity",
    *,
    seed: int,
    runtime: "RuntimeParams",
    scratch: Path,
    what: str,
    log: Log = lambda values, step: None,
    save_steps: Sequence[int] = (),
    save: Callable[[Path, nn.Module], None] = lambda folder, transformer: None,
) -> "list[Row]":
    """Train the parameters of an SD3 transformer that require a gradient.

    Every random number belongs to (seed, sample id, epoch): batch size, accumulation and the number of
    processes change a result by rounding only. A run that was stopped is resumed from its state in `scratch`,
    bit for bit on a CPU.

    Args:
        transformer: an `SD3Transformer2DModel` with float32 trained parameters. On return it holds the final
            weights (the average, where `ema_decay` > 0), on the training device, in eval mode.
        held_out: samples of the validation loss; None for no validation.
        scratch, what, log: see `Loop`.
        save_steps: after these steps `save(scratch / "step-000100", transformer)` is called, with averaged weights.

    Returns:
        The curve: a row every `validation_interval` steps and at the end; with `held_out`, at the start too.

    Raises:
        DifflabError: the loss or gradient is not finite, or a setting does not fit the machine.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    device, autocast = resolve_device(runtime.device), autocast_of(runtime)
    per_step = settings.batch_size * settings.gradient_accumulation_steps
    if next(transformer.parameters()).device != device:  # a quantised base refuses to be moved where it is
        transformer.to(device)
    optimizer, schedule = adamw_with_schedule(transformer, settings)
    stream = examples.stream(seed)

    def predict(**given: Any) -> Any:
        with autocast:
            return transformer(**given)

    def validate(step: int) -> dict[str, float]:
        data = cast("Examples", held_out)
        return held_out_losses(transformer, data, predict, batch_size=settings.batch_size, stop=stop)

    with graceful_stop(what) as stop:
        loop = Loop(
            model=transformer, optimizer=optimizer, schedule=schedule, settings=settings, what=what,
            scratch=scratch, stop=stop, seed=seed, samples_per_step=per_step,
            identity_of=[seed, settings.model_dump(), density.params.model_dump(), density.logit_mean, examples.ids],
            row_interval=settings.validation_interval, ema_decay=settings.ema_decay,
            validate=validate if held_out else None, log=log, save_steps=save_steps,
            save=lambda step: save(Path(scratch) / f"step-{step:06d}", transformer),
        )  # fmt: skip
        if peak := flops.peak_flops(device):
            loop.speed.set_flops(flops_per_image(transformer, examples, predict), peak * loop.processes)
        if settings.gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        if runtime.compile:
            for block in transformer.transformer_blocks:  # alike blocks compile once: seconds, not minutes
                block.compile()

        for step in loop.steps():
            step_loss = torch.zeros((), device=device)
            index, keys = shares.own(*stream.take(step * per_step, per_step))
            for number, rows in enumerate(passes(len(index), settings.batch_size)):
                if number and loop.processes == 1:
                    loop.stop_if_requested()
                with loop.speed.waiting():
                    drawn = index[rows], keys[rows], density, seed, settings.prompt_dropout, device
                    batch = examples.training_batch(*drawn)
                loss = flow_loss(predict, batch, density, settings.prediction_loss)
                loss = shares.weighted(loss, len(batch.x0), per_step)
                loss.backward()
                step_loss += loss.detach()
            loop.update(step_loss)

    if settings.gradient_checkpointing:
        transformer.disable_gradient_checkpointing()
    return loop.curve.rows


def passes(count: int, most: int) -> list[slice]:
    """`count` rows in the fewest passes of at most `most` rows, as even as they can be with the largest first."""
    size = math.ceil(count / math.ceil(count / most)) if count else 1
    return [slice(start, start + size) for start in range(0, count, size)]


def flow_loss(
    model: Callable[..., Any], batch: "Batch", density: "SigmaDensity", prediction_loss: Literal["velocity", "x0"]
) -> Tensor:
    """The weighted flow-matching loss of a batch, 0-d: mean over samples of weight(sigma) x squared error.

    The error of the velocity is the loss of diffusers' scripts. That of x0, i.e. of x_t - sigma prediction, is
    sigma^2 times it, because x0_hat - x0 = -sigma (v_hat - v); reference implementations of SD3 differ in this.
    """
    error = squared_error(model, batch, batch.sigma)
    if prediction_loss == "x0":
        error = error * batch.sigma.square()
    return (density.weight(batch.sigma) * error).mean()


def squared_error(model: Callable[..., Any], batch: "Batch", sigma: Tensor) -> Tensor:
    """Mean squared error of the velocity that an `SD3Transformer2DModel` predicts at `sigma` (float32 [B]): [B]."""
    x_t = add_noise(batch.x0, batch.noise, sigma)
    velocity = model(
        hidden_states=x_t,
        timestep=NUM_TRAIN_TIMESTEPS * sigma,  # float32 whatever the precision of the network
        encoder_hidden_states=batch.prompt_embeds.to(x_t.dtype),
        pooled_projections=batch.pooled_prompt_embeds.to(x_t.dtype),
        return_dict=False,
    )[0]
    return (velocity.float() - (batch.noise - batch.x0)).square().flatten(1).mean(1)


def add_noise(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """x_t = (1 - sigma) x0 + sigma noise; `x0` and `noise` are [B, ...], `sigma` is [B] in 0..1."""
    s = per_sample(sigma, x0)
    return (1 - s) * x0 + s * noise


@torch.no_grad()
def held_out_losses(
    transformer: nn.Module,
    examples: "Examples",
    predict: Callable[..., Any] | None = None,
    *,
    batch_size: int,
    stop: StopSignal,
) -> dict[str, float]:
    """Mean velocity error (unweighted, whatever the training loss) at each sigma, over all samples.

    The images, their noise and the sigmas are the same each time, so that two values can be compared. No number of
    the training run's random stream is used, and the model's train/eval mode is put back. Each of n processes takes
    every n-th batch; a single one polls `stop` between batches and then raises `Interrupted`.

    Args:
        predict: calls the transformer in the precision of training; None calls it as it is.

    Returns:
        {"val_loss": mean over the sigmas, "val_loss_sigma_0.1": ..., ...}; `batch_size` changes it by rounding only.
    """
    was_training, device = transformer.training, next(transformer.parameters()).device
    transformer.eval()
    sums = torch.zeros(len(HELD_OUT_SIGMAS), dtype=torch.float64, device=device)
    (batches,) = shares.own(torch.arange(len(examples)).split(batch_size))
    try:
        for index in batches:
            if stop and process_index()[1] == 1:
                raise interrupted("validation")
            batch = examples.held_out_batch(index, HELD_OUT_SEED, device)
            for place, level in enumerate(HELD_OUT_SIGMAS):
                sums[place] += (
                    squared_error(predict or transformer, batch, batch.x0.new_full((len(index),), level)).double().sum()
                )
    finally:
        transformer.train(was_training)
    means = (shares.total(sums) / len(examples)).tolist()
    by_sigma = {f"val_loss_sigma_{level}": value for level, value in zip(HELD_OUT_SIGMAS, means, strict=True)}
    return {"val_loss": sum(means) / len(means), **by_sigma}


def flops_per_image(transformer: nn.Module, examples: "Examples", predict: Callable[..., Any]) -> float:
    """Operations of a training step for one image, counted on one forward pass."""
    batch = examples.held_out_batch(torch.zeros(1, dtype=torch.int64), 0, next(transformer.parameters()).device)
    forward = flops.count(lambda: squared_error(predict, batch, batch.x0.new_full((1,), 0.5)))
    return flops.step_flops(transformer, forward)
