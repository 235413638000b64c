"""The small training loop of the zoo: one model, one loss, exact resume."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.runtime import graceful_stop, interrupted
from difflab.training import status
from difflab.training.checkpoint import identity, load_state, save_state
from difflab.training.params import FitParams


def fit(
    model: nn.Module,
    batch_loss: Callable[[int], dict[str, Tensor]],
    settings: FitParams,
    *,
    scratch: Path,
    validate: Callable[[int], dict[str, float]] | None = None,
    log: Callable[[int, dict[str, float]], None] = lambda step, values: None,
    what: str = "model",
) -> list[dict[str, float]]:
    """Train the parameters of `model` that require a gradient: AdamW, warm-up, cosine to zero, clipping.

    Args:
        model: put into train mode; lies on its device already.
        batch_loss: takes the step number (0, 1, ...) and returns 0-d tensors: "loss" and any further
            scalars to report. Its data must be keyed by that number. Dropout is: torch is seeded by the
            step before each call.
        scratch: folder of the resumable state, `<what>.safetensors`.
        validate: called with the number of steps done before each row, with the model in eval mode; its values
            join the row.
        log: called with the number of steps done and the means since the last call.
        what: name on the status line; one per model where a stage trains several.

    Returns:
        One row every `log_interval` steps and after the last: {"step", "learning_rate", "grad_norm",
        "loss", ...}, means since the row before.

    Raises:
        DifflabError: the loss or the gradient is not finite.
        Interrupted: Ctrl-C; the state is saved and the same call goes on from it.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, settings))
    state = Path(scratch) / f"{what.replace(' ', '_')}.safetensors"
    whole = {"model": model, "optimizer": optimizer, "schedule": schedule}
    own = identity(model, [what, settings.model_dump()])
    progress = load_state(state, **whole, identity=own) or {"step": 0, "rows": [], "window": {}}
    if progress["step"]:
        print(f"{what}: goes on after step {progress['step']} of an interrupted run", flush=True)
    rows, window, saved = progress["rows"], progress["window"], progress["step"]
    meter, read_at, started = status.Meter(), saved, time.perf_counter()

    def read() -> None:
        """Move the scalars from the device into the window; the only place where the host waits."""
        for name, values in meter.read(what, state).items():
            window.setdefault(name, []).extend(values)

    def save(step: int) -> None:
        read()
        save_state(state, **whole, identity=own, progress={"step": step, "rows": rows, "window": window})

    model.train()
    with graceful_stop(what) as stop:
        for step in range(saved, settings.steps):
            torch.manual_seed(rng.key(0, "dropout", what, step))
            values = batch_loss(step)
            values["loss"].backward()
            grad_norm = nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm, foreach=True)
            optimizer.step()
            learning_rate = schedule.get_last_lr()[0]
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            meter.add(step + 1, **values, grad_norm=grad_norm)

            done = step + 1
            if done % settings.log_interval == 0 or done == settings.steps:
                read()
                rate = (done - read_at) * settings.batch_size / (time.perf_counter() - started)
                row = {name: status.mean(v) for name, v in window.items()}
                if validate is not None:
                    model.eval()
                    row |= validate(done)
                    model.train()
                rows.append({"step": done, "learning_rate": learning_rate, **row})
                window.clear()
                print(
                    status.line(what, done, settings.steps, {"lr": learning_rate, **row, "samples/s": rate}),
                    flush=True,
                )
                log(done, {"learning_rate": learning_rate, **row})
                read_at, started = done, time.perf_counter()
            if done % settings.checkpoint_interval == 0 or done == settings.steps or stop:
                save(done)
            if stop and done < settings.steps:
                raise interrupted(what)
    return rows


def warmup_cosine(step: int, settings: FitParams) -> float:
    """The factor of the learning rate in step `step`: linear from 1/warmup to 1, then half a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
