"""The training loop of rectified flow, for LoRA and for full training: read it from top to bottom."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import StopSignal, graceful_stop, interrupted, resolve_device
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.examples import Batch, Examples
from difflab.sd3.training.flow_path import add_noise, predict_velocity, squared_error
from difflab.sd3.training.validation import held_out_losses
from difflab.training import flops, status
from difflab.training.checkpoint import identity, load_state, save_state
from difflab.training.curve import Curve, Row
from difflab.training.ema import averaged, moving_average
from difflab.training.optimizer import optimizer_and_schedule

if TYPE_CHECKING:
    from accelerate import Accelerator

    from difflab.core.params.common import RuntimeParams
    from difflab.training.params import FlowTrainingParams


def train_flow(
    transformer: nn.Module,
    examples: Examples,
    held_out: Examples | None,
    settings: "FlowTrainingParams",
    density: SigmaDensity,
    *,
    seed: int,
    runtime: "RuntimeParams",
    scratch: Path,
    what: str,
    log: Callable[[int, dict[str, float]], None] = lambda step, values: None,
    save_steps: Sequence[int] = (),
    save: Callable[[Path, nn.Module], None] = lambda folder, transformer: None,
) -> list[Row]:
    """Train the parameters of an SD3 transformer that require a gradient.

    Every random number belongs to (seed, sample id, epoch): batch size, accumulation and the number of
    processes change a result by rounding only. A run that was stopped goes on from its state in `scratch`,
    bit for bit on a CPU.

    Args:
        transformer: an `SD3Transformer2DModel` with float32 trained parameters. On return it holds the
            final weights (the average, where `settings.ema_decay` > 0), on the training device, in eval
            mode.
        held_out: samples of the validation loss; None for no validation.
        scratch: folder of the resumable state and of the snapshots, see `Stage.scratch`.
        what: name on the status line and of the state.
        log: called with (step, values) for each status line and each curve row.
        save_steps: after these steps `save(scratch / "step-000100", transformer)` is called, with averaged
            weights.

    Returns:
        The curve: a row {"step", "images_seen", "train_loss", "lr", "val_loss", "val_loss_sigma_0.1", ...}
        at step 0 (train_loss is None), every `validation_interval` steps and at the end. train_loss is the
        mean since the row before.

    Raises:
        DifflabError: the loss or gradient is not finite, or a setting does not fit the machine.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    accelerator = accelerator_of(runtime)
    device, rank, processes = accelerator.device, accelerator.process_index, accelerator.num_processes
    accumulation = settings.gradient_accumulation_steps
    images_per_step = settings.batch_size * accumulation
    if settings.batch_size % processes:
        raise DifflabError(
            f"{what}: batch_size {settings.batch_size} is not a multiple of {processes} processes"
        )

    transformer.to(device)
    parameters = [p for p in transformer.parameters() if p.requires_grad]
    optimizer, schedule = optimizer_and_schedule(parameters, settings)
    ema = moving_average(parameters, settings.ema_decay)
    stream = examples.stream(seed)

    own = [what, seed, settings.model_dump(), density.params.model_dump(), density.logit_mean, examples.ids]
    state_path = Path(scratch) / f"{what.replace(' ', '_')}.safetensors"
    state = {"model": transformer, "optimizer": optimizer, "schedule": schedule, "ema": ema}
    state["identity"] = identity(transformer, own)
    progress = load_state(state_path, **state) or {"step": 0, "rows": [], "window": []}
    if progress["step"] and accelerator.is_main_process:
        print(f"{what}: goes on after step {progress['step']} of an interrupted run", flush=True)
    curve = Curve(settings.validation_interval, settings.steps, progress["rows"], progress["window"])
    meter = status.Meter(lambda values: accelerator.reduce(values, "mean"))
    speed = status.Speed(device, images_per_step)

    if peak := flops.peak_flops(device):
        speed.set_flops(flops_per_image(transformer, examples, accelerator), peak * processes)
    if settings.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    if runtime.compile:
        for block in transformer.transformer_blocks:  # alike blocks compile once: seconds instead of minutes
            block.compile()
    model, stepper = accelerator.prepare(transformer, optimizer)

    def batch_at(position: int) -> Batch:
        """This process's share of the batch that starts at a position of the stream."""
        index, keys = stream.take(position, settings.batch_size)
        mine = slice(rank, None, processes)
        dropout = settings.prompt_dropout
        return examples.training_batch(
            index[mine], keys[mine], density, seed=seed, prompt_dropout=dropout, device=device
        )

    report = log if accelerator.is_main_process else lambda step, values: None

    def read() -> dict[str, float]:
        """Means of the scalars since the last reading; the one place where the host waits for the device."""
        values = meter.read(what, state_path)
        curve.window.extend(values.get("loss", []))
        return {name: status.mean(column) for name, column in values.items()}

    def keep(step: int) -> None:
        read()
        if accelerator.is_main_process:
            save_state(state_path, **state, progress={"step": step, **curve.state()})

    def look_back(step: int) -> None:
        """What belongs to the weights after `step` updates: state, snapshot, validation, row."""
        due, saved = curve.due(step), step in save_steps
        if step > progress["step"] and (due or saved or step % settings.checkpoint_interval == 0):
            keep(step)
        if not (due or saved):
            return
        losses = {}
        with averaged(ema, parameters):
            if saved and accelerator.is_main_process:
                save(Path(scratch) / f"step-{step:06d}", transformer)
            if due and held_out is not None:
                size = settings.batch_size
                losses = held_out_losses(model, held_out, accelerator, batch_size=size, stop=stop)
        if due:
            row = curve.add(step, step * images_per_step, schedule.get_last_lr()[0], losses)
            report(step, {name: value for name, value in row.items() if value is not None})

    model.train()
    with graceful_stop(what) as stop:
        for step in range(progress["step"], settings.steps + 1):
            with speed.paused():
                look_back(step)
            if step == settings.steps:
                break

            step_loss = torch.zeros((), device=device)
            for micro in range(accumulation):
                if stop_now(stop, accelerator, agree=micro == 0 and step % settings.log_interval == 0):
                    optimizer.zero_grad()  # what was accumulated of this step is computed again on resume
                    keep(step)
                    raise interrupted(what)
                with speed.waiting():
                    batch = batch_at(step * images_per_step + micro * settings.batch_size)
                with contextlib.nullcontext() if micro == accumulation - 1 else accelerator.no_sync(model):
                    loss = flow_loss(model, batch, density, settings.prediction_loss) / accumulation
                    accelerator.backward(loss)
                step_loss += loss.detach()

            grad_norm = nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm, foreach=True)
            stepper.step()
            schedule.step()
            stepper.zero_grad(set_to_none=True)
            if ema is not None:
                ema.step(parameters)

            done = step + 1
            speed.step()
            meter.add(done, loss=step_loss, grad_norm=grad_norm)
            if done % settings.log_interval == 0 or done == settings.steps:
                means = {**read(), "lr": optimizer.param_groups[0]["lr"]}
                values = {"images": done * images_per_step, **means, **speed.read()}
                if accelerator.is_main_process:
                    print(status.line(what, done, settings.steps, values), flush=True)
                report(done, means)

    if ema is not None:
        ema.copy_to(parameters)
    accelerator.wait_for_everyone()
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if settings.gradient_checkpointing:
        transformer.disable_gradient_checkpointing()
    transformer.eval()
    return curve.rows


def flow_loss(
    model: nn.Module, batch: Batch, density: SigmaDensity, prediction_loss: Literal["velocity", "x0"]
) -> Tensor:
    """The weighted flow-matching loss of a batch, 0-d: mean over samples of weight(sigma) x squared error."""
    x_t = add_noise(batch.x0, batch.noise, batch.sigma)
    v = predict_velocity(model, x_t, batch.sigma, batch.prompt_embeds, batch.pooled_prompt_embeds)
    error = squared_error(v, batch.x0, batch.noise, batch.sigma, of=prediction_loss)
    return (density.weight(batch.sigma) * error).mean()


def accelerator_of(runtime: "RuntimeParams") -> "Accelerator":
    """Accelerate for the device, the precision and the processes of this run.

    Raises:
        DifflabError: float16, whose loss scaling is not part of the saved state.
    """
    if runtime.dtype == "float16":
        raise DifflabError("runtime.dtype float16 is for inference only: train with bfloat16 or float32")
    from accelerate import Accelerator

    device = resolve_device(runtime.device)
    if device.index is not None:
        torch.cuda.set_device(device)
    return Accelerator(
        mixed_precision="bf16" if runtime.dtype == "bfloat16" else "no", cpu=device.type == "cpu"
    )


def flops_per_image(transformer: nn.Module, examples: Examples, accelerator: "Accelerator") -> float:
    """Operations of a training step for one image, counted on one forward pass."""
    batch = examples.held_out_batch(torch.zeros(1, dtype=torch.int64), seed=0, device=accelerator.device)
    sigma = batch.x0.new_full((1,), 0.5)
    with accelerator.autocast():
        forward = flops.count(
            lambda: predict_velocity(
                transformer, batch.x0, sigma, batch.prompt_embeds, batch.pooled_prompt_embeds
            )
        )
    return flops.step_flops(transformer, forward)


def stop_now(stop: StopSignal, accelerator: "Accelerator", agree: bool) -> bool:
    """Whether to stop before this batch. Several processes decide together, where `agree` is true."""
    if accelerator.num_processes == 1:
        return bool(stop)
    if not agree:
        return False
    return bool(accelerator.reduce(torch.tensor(float(bool(stop)), device=accelerator.device)))
