"""The core of every training: resume, status line, curve, validation, snapshots, states, a stop by signal.

A step function says what is trained and reads from top to bottom; between two updates the loop does the rest:

    with graceful_stop(what) as stop:
        loop = Loop(model=model, optimizer=optimizer, stop=stop, ...)
        for step in loop.steps():
            loss = ...
            loss.backward()
            loop.update(loss)
    return loop.curve.rows

The host waits for the device at status lines, rows, snapshots and saved states only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.runtime import StopSignal, interrupted, process_index
from difflab.training import shares
from difflab.training.checkpoint import State, put_tensors, trained_tensors
from difflab.training.curve import Curve, best_row
from difflab.training.optimizer import averaged, moving_average
from difflab.training.status import Meter, Speed, status_line

if TYPE_CHECKING:
    from difflab.training.params import LoopParams

Log = Callable[..., None]
"""Called as `log(values, step=steps done)`, like `Run.log_metrics`."""
Validate = Callable[[int], dict[str, float]]
"""Called with the number of steps done, in eval mode with averaged weights; the headline is its first value."""


@dataclass(kw_only=True)
class Loop:
    """Counts the steps of one training. Killed at any point, the same call trains to the same bytes on a CPU.

    After the last step `model` holds the final weights (the average, where there is one) and is in eval mode.

    Raises:
        DifflabError: the state in `scratch` belongs to other settings or another model.
    """

    model: nn.Module  # on its device; what requires a gradient is trained
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler  # stepped once per update
    settings: "LoopParams"
    what: str  # name on the status line and of the state
    scratch: Path  # folder of the resumable state, `<what>.safetensors`
    stop: StopSignal  # of `graceful_stop`, polled before each step
    identity_of: list[Any]  # JSON values that the state belongs to; that of any other is refused
    seed: int  # of what a step draws from torch's global generator (dropout)
    samples_per_step: int  # over all processes
    row_interval: int  # steps between two curve rows
    ema_decay: float = 0.0  # of the average of the weights; 0 keeps none
    validate: Validate | None = None  # its values join the rows; there is one before the first step too
    log: Log = lambda values, step: None  # called at each status line and each validation
    keep_best: bool = False  # end with the weights of the lowest validation loss (`best_row`), not the last
    save_steps: Sequence[int] = ()  # after these steps `save(step)` is called, with averaged weights
    save: Callable[[int], None] = lambda step: None

    def __post_init__(self) -> None:
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.ema = moving_average(self.parameters, self.ema_decay)
        rank, self.processes = process_index()
        self.is_main = rank == 0  # it prints, logs and saves
        path = Path(self.scratch) / f"{self.what.replace(' ', '_')}.safetensors"
        settings = [self.what, *self.identity_of]
        self.state = State(path, self.model, self.optimizer, self.schedule, settings, self.ema)
        progress = self.state.load() or {"step": 0, "rows": [], "window": {}}
        self.step = self._resumed_at = progress["step"]
        if self.step and self.is_main:
            print(f"{self.what}: resuming from step {self.step}", flush=True)
        self.curve = Curve(self.row_interval, self.settings.steps, progress["rows"], progress["window"])
        self.speed = Speed(self.parameters[0].device, self.samples_per_step)
        self._meter = Meter()

    def steps(self) -> Iterator[int]:
        """The numbers of the steps that are left, from 0; `update` belongs to each of them.

        Raises:
            DifflabError: a scalar is not finite; the line names its step.
            Interrupted: a stop was requested; the state is saved.
        """
        self.model.train()
        while True:
            self._between_updates()
            if self.step == self.settings.steps:
                break
            self.stop_if_requested()
            own = process_index()[:1] if self.processes > 1 else ()  # each share of a batch has its own
            torch.manual_seed(rng.key(self.seed, "dropout", self.what, self.step, *own))
            yield self.step
            self.step += 1
        if self.ema is not None:
            self.ema.copy_to(self.parameters)
        if self.keep_best:
            if not self.state.best:
                raise DifflabError(f"{self.what}: no validation loss was a number: lower the learning rate")
            put_tensors(self.model, self.state.best)
        self.model.eval()

    def update(self, loss: Tensor, **scalars: Tensor) -> None:
        """One optimizer step on the gradients that are there; the 0-d tensors go to status line, curve and log.

        Of several processes each brings its share of all of them, see `difflab.training.shares`.
        """
        loss, *others = shares.add_up(self.parameters, loss, *scalars.values())
        scalars = dict(zip(scalars, others, strict=True))
        grad_norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm, foreach=True)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.step(self.parameters)
        self._meter.add(self.step + 1, train_loss=loss, grad_norm=grad_norm, **scalars)
        self.speed.count_step()

    def stop_if_requested(self) -> None:
        """Save the state and raise `Interrupted` after a Ctrl-C; what is left of the step is computed again.

        Several processes stop together: all of them have to call it equally often.
        """
        if shares.anywhere(bool(self.stop)):
            self._save_state()
            raise interrupted(self.what)

    def _between_updates(self) -> None:
        """What belongs to the weights after `self.step` updates: status line, state, snapshot, validation, row."""
        step, settings = self.step, self.settings
        last, updated = step == settings.steps, step > self._resumed_at
        due = self.curve.due(step) and (step > 0 or self.validate is not None)
        reported = updated and (last or step % settings.log_interval == 0)
        values = self._read() if due or reported else {}
        speed = self.speed.read() if reported else {}
        with self.speed.paused():
            if updated and (last or step % settings.checkpoint_interval == 0):
                self._save_state()
            found = self._look_at_average(step, due) if due or step in self.save_steps else {}
        samples, rate = step * self.samples_per_step, cast("float", self.schedule.get_last_lr()[0])
        if due:
            self.curve.add(step, samples, rate, found)
        if self.is_main and (reported or found):
            headline = dict(islice(found.items(), 1))
            shown: dict[str, float | str] = {"samples": samples, **values, **headline, "learning_rate": rate, **speed}
            print(status_line(self.what, step, settings.steps, shown), flush=True)
            self.log({**values, **found, "learning_rate": rate}, step=step)

    def _look_at_average(self, step: int, due: bool) -> dict[str, float]:
        """Save a snapshot, where one belongs here, and validate."""
        self.model.eval()
        try:
            with averaged(self.ema, self.parameters):
                if step in self.save_steps and self.is_main:
                    self.save(step)
                found = shares.from_main(self.validate(step)) if due and self.validate is not None else {}
                if self.keep_best and found and best_row([*self.curve.rows, found]) is found:
                    self.state.best |= {n: t.detach().clone() for n, t in trained_tensors(self.model).items()}
                return found
        except Interrupted:
            self._save_state()
            raise
        finally:
            self.model.train()

    def _save_state(self) -> None:
        self._read()
        if self.is_main:
            self.state.save({"step": self.step, "rows": self.curve.rows, "window": self.curve.window})

    def _read(self) -> dict[str, float]:
        """Means of the scalars since the last reading; the one place where the host waits for the device."""
        values = self._meter.read(self.what, self.state.path)
        for name, column in values.items():
            self.curve.window.setdefault(name, []).extend(column)
        return {name: fmean(column) for name, column in values.items()}
