"""The training loop of the pixel models: read it from top to bottom.

The whole data set lies on the device as uint8; flips, noise and conditions are drawn there. Nothing in a step
makes the host wait for the device.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import graceful_stop, interrupted, resolve_device, resolve_dtype
from difflab.ddpm.networks.conditions import Conditions
from difflab.ddpm.training.corruption import Corruption
from difflab.sd3.training.flow_path import per_sample
from difflab.training import status
from difflab.training.checkpoint import identity, load_state, save_state
from difflab.training.curve import Curve, Row
from difflab.training.data_order import SampleStream
from difflab.training.ema import averaged, moving_average

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.ddpm.params.networks import ImageTrainingParams


@dataclass(frozen=True)
class ImageSet:
    """The images that a model trains on.

    Attributes:
        ids: sample ids, [N].
        pixels: uint8 [N, C, H, W], or float32 latents of any range.
        condition: what the network is told, by row; None for unconditional models.
    """

    ids: list[str]
    pixels: Tensor
    condition: Conditions | None = None

    def to(self, device: torch.device) -> "ImageSet":
        condition = None if self.condition is None else self.condition.to(device)
        return ImageSet(self.ids, self.pixels.to(device), condition)


def to_float(pixels: Tensor) -> Tensor:
    """uint8 0..255 to float32 -1..1; floats pass."""
    return pixels.float().div(127.5).sub(1) if pixels.dtype == torch.uint8 else pixels


def train_denoiser(
    model: nn.Module,
    images: ImageSet,
    corruption: Corruption,
    weight: Callable[[Tensor], Tensor],
    settings: "ImageTrainingParams",
    *,
    seed: int,
    runtime: "RuntimeParams",
    scratch: Path,
    what: str,
    validate: Callable[[], dict[str, float]] = dict,
    log: Callable[[int, dict[str, float]], None] = lambda step, values: None,
) -> list[Row]:
    """Train `model(x, level, condition) -> x0` on weight(level) * |model - x0|^2, the mean over pixels.

    Every random number belongs to (seed, sample id, epoch). A run that was stopped goes on from its state in
    `scratch`, bit for bit on a CPU.

    Args:
        model: a `Denoiser` or a `Restorer`. On return it holds the final weights (the average, where
            `settings.ema_decay` > 0), on the training device, in eval mode.
        weight: levels [B] to weights [B].
        validate: called with averaged weights in eval mode at each curve row; its values join the row.
        log: called with (step, values) for each status line and each curve row.

    Returns:
        The curve: {"step", "images_seen", "train_loss", "lr", ...} at step 0, every `validation_interval`
        steps and at the end.

    Raises:
        DifflabError: the loss or gradient is not finite, there is no image, or float16 is asked for.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    if not images.ids:
        raise DifflabError(f"{what}: there is no image to train on")
    if runtime.dtype == "float16":
        raise DifflabError("runtime.dtype float16 is for inference only: train with bfloat16 or float32")
    device = resolve_device(runtime.device)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    model.to(device=device, memory_format=layout)
    images = images.to(device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, settings))
    ema = moving_average(parameters, settings.ema_decay)
    stream = SampleStream(rng.id_keys(images.ids), seed)

    state_path = Path(scratch) / f"{what.replace(' ', '_')}.safetensors"
    state = {"model": model, "optimizer": optimizer, "schedule": schedule, "ema": ema}
    state["identity"] = identity(model, [what, seed, settings.model_dump(), images.ids])
    progress = load_state(state_path, **state) or {"step": 0, "rows": [], "window": []}
    lay_out_moments(optimizer)
    if progress["step"]:
        print(f"{what}: goes on after step {progress['step']} of an interrupted run", flush=True)
    curve = Curve(settings.validation_interval, settings.steps, progress["rows"], progress["window"])
    meter, speed = status.Meter(), status.Speed(device, settings.batch_size)
    dtype = resolve_dtype(runtime.dtype)
    autocast = nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)
    forward = torch.compile(model) if runtime.compile else model

    def batch_at(step: int) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor] | None]:
        """Clean images, corrupted images, levels and conditions of a step."""
        index, keys = stream.take(step * settings.batch_size, settings.batch_size)
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

    def read() -> dict[str, float]:
        """Means of the scalars since the last reading; the one place where the host waits for the device."""
        values = meter.read(what, state_path)
        curve.window.extend(values.get("loss", []))
        return {name: status.mean(column) for name, column in values.items()}

    def look_back(step: int) -> None:
        """What belongs to the weights after `step` updates: state, validation, row."""
        due = curve.due(step)
        if step > progress["step"] and (due or step % settings.checkpoint_interval == 0):
            read()
            save_state(state_path, **state, progress={"step": step, **curve.state()})
        if due:
            model.eval()
            with averaged(ema, parameters):
                values = validate()
            model.train()
            row = curve.add(step, step * settings.batch_size, schedule.get_last_lr()[0], values)
            log(step, {k: v for k, v in row.items() if v is not None and k != "step"})

    seed_key = rng.key(seed, "image training")
    model.train()
    with graceful_stop(what) as stop:
        for step in range(progress["step"], settings.steps + 1):
            with speed.paused():
                look_back(step)
            if step == settings.steps:
                break
            if stop:
                read()
                save_state(state_path, **state, progress={"step": step, **curve.state()})
                raise interrupted(what)

            with speed.waiting():
                x0, x, level, condition = batch_at(step)
            torch.manual_seed(rng.key(seed, "dropout", what, step))
            with autocast:
                restored = forward(x, level, condition)
            loss = (weight(level) * (restored - x0).square().flatten(1).mean(1)).mean()
            loss.backward()
            grad_norm = nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm, foreach=True)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            if ema is not None:
                ema.step(parameters)

            done = step + 1
            speed.step()
            meter.add(done, loss=loss, grad_norm=grad_norm)
            if done % settings.log_interval == 0 or done == settings.steps:
                means = {**read(), "lr": schedule.get_last_lr()[0]}
                values = {"images": done * settings.batch_size, **means, **speed.read()}
                print(status.line(what, done, settings.steps, values), flush=True)
                log(done, means)

    if ema is not None:
        ema.copy_to(parameters)
    model.eval()
    return curve.rows


def lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Give loaded moments the memory layout of their parameters: a fused step presumes it and does not check."""
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(moment)


def warmup_cosine(step: int, settings: "ImageTrainingParams") -> float:
    """The factor of the learning rate in step `step`: linear from 1/warmup to 1, then half a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
