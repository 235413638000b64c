"""The training of rectified flow, for LoRA and for full training: read it from top to bottom."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import graceful_stop, resolve_device
from difflab.sd3.training.flow_path import add_noise, predict_velocity, squared_error
from difflab.sd3.training.validation import held_out_losses
from difflab.training import flops
from difflab.training.loop import Log, Loop
from difflab.training.optimizer import adamw_with_schedule, training_dtype

if TYPE_CHECKING:
    from accelerate import Accelerator

    from difflab.core.params.common import RuntimeParams
    from difflab.sd3.training.density import SigmaDensity
    from difflab.sd3.training.examples import Batch, Examples
    from difflab.training.curve import Row
    from difflab.training.params import FlowTrainingParams


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
        save_steps: after these steps `save(scratch / "step-000100", transformer)` is called, with averaged
            weights.

    Returns:
        The curve: a row every `validation_interval` steps and at the end; with `held_out`, at the start too.

    Raises:
        DifflabError: the loss or gradient is not finite, or a setting does not fit the machine.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    accelerator = accelerator_of(runtime)
    device, rank, processes = accelerator.device, accelerator.process_index, accelerator.num_processes
    accumulation, batch_size = settings.gradient_accumulation_steps, settings.batch_size
    if batch_size % processes:
        raise DifflabError(f"{what}: batch_size {batch_size} is not a multiple of {processes} processes")
    transformer.to(device)
    optimizer, schedule = adamw_with_schedule(transformer, settings)
    stream = examples.stream(seed)

    def batch_at(position: int) -> "Batch":
        """This process's share of the batch that starts at a position of the stream."""
        index, keys = stream.take(position, batch_size)
        mine = slice(rank, None, processes)
        dropout = settings.prompt_dropout
        return examples.training_batch(
            index[mine], keys[mine], density, seed=seed, prompt_dropout=dropout, device=device
        )

    def validate(step: int) -> dict[str, float]:
        assert held_out is not None
        return held_out_losses(model, held_out, accelerator, batch_size=batch_size, stop=stop)

    with graceful_stop(what) as stop:
        loop = Loop(
            model=transformer, optimizer=optimizer, schedule=schedule, settings=settings, what=what,
            scratch=scratch, stop=stop, seed=seed, samples_per_step=batch_size * accumulation,
            identity_of=[
                seed, settings.model_dump(), density.params.model_dump(), density.logit_mean, examples.ids
            ],
            row_interval=settings.validation_interval, ema_decay=settings.ema_decay,
            validate=None if held_out is None else validate, log=log, save_steps=save_steps,
            save=lambda step: save(Path(scratch) / f"step-{step:06d}", transformer), accelerator=accelerator,
        )  # fmt: skip
        if peak := flops.peak_flops(device):
            loop.speed.set_flops(flops_per_image(transformer, examples, accelerator), peak * processes)
        if settings.gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        if runtime.compile:
            for block in transformer.transformer_blocks:  # alike blocks compile once: seconds, not minutes
                block.compile()
        model = accelerator.prepare(transformer)

        for step in loop.steps():
            step_loss = torch.zeros((), device=device)
            for micro in range(accumulation):
                if micro:
                    loop.stop_if_requested()
                with loop.speed.waiting():
                    batch = batch_at((step * accumulation + micro) * batch_size)
                with contextlib.nullcontext() if micro == accumulation - 1 else accelerator.no_sync(model):
                    loss = flow_loss(model, batch, density, settings.prediction_loss) / accumulation
                    accelerator.backward(loss)
                step_loss += loss.detach()
            loop.update(step_loss)

    accelerator.wait_for_everyone()
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if settings.gradient_checkpointing:
        transformer.disable_gradient_checkpointing()
    return loop.curve.rows


def flow_loss(
    model: nn.Module, batch: "Batch", density: "SigmaDensity", prediction_loss: Literal["velocity", "x0"]
) -> Tensor:
    """The weighted flow-matching loss of a batch, 0-d: mean over samples of weight(sigma) x squared error."""
    x_t = add_noise(batch.x0, batch.noise, batch.sigma)
    v = predict_velocity(model, x_t, batch.sigma, batch.prompt_embeds, batch.pooled_prompt_embeds)
    error = squared_error(v, batch.x0, batch.noise, batch.sigma, of=prediction_loss)
    return (density.weight(batch.sigma) * error).mean()


def accelerator_of(runtime: "RuntimeParams") -> "Accelerator":
    """Accelerate for the device, the precision and the processes of this run."""
    mixed = training_dtype(runtime.dtype) == torch.bfloat16
    from accelerate import Accelerator

    device = resolve_device(runtime.device)
    if device.index is not None:
        torch.cuda.set_device(device)
    return Accelerator(mixed_precision="bf16" if mixed else "no", cpu=device.type == "cpu")


def flops_per_image(transformer: nn.Module, examples: "Examples", accelerator: "Accelerator") -> float:
    """Operations of a training step for one image, counted on one forward pass."""
    batch = examples.held_out_batch(torch.zeros(1, dtype=torch.int64), seed=0, device=accelerator.device)
    sigma = batch.x0.new_full((1,), 0.5)
    given = batch.x0, sigma, batch.prompt_embeds, batch.pooled_prompt_embeds
    with accelerator.autocast():
        return flops.step_flops(transformer, flops.count(lambda: predict_velocity(transformer, *given)))
