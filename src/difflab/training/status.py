"""What a training loop says about itself: scalars kept on the device until read, and one status line."""

import math
import resource
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError


class Meter:
    """Scalars of the last steps, kept on the device. Only `read` waits for it."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}
        self._first_step = 0

    def add(self, step: int, **values: Tensor) -> None:
        """Note 0-d tensors of step number `step` (counted from 1)."""
        if not self._values:
            self._first_step = step
        for name, value in values.items():
            self._values.setdefault(name, []).append(value.detach())

    def read(self, what: str, state: Path) -> dict[str, list[float]]:
        """The values of each scalar since the last reading, in step order; empties the meter.

        Raises:
            DifflabError: one is NaN or infinite; the line names the step and the last good state.
        """
        held, self._values = self._values, {}
        values = {name: torch.stack(v).float().tolist() for name, v in held.items()}
        if bad := [(i, n) for n, column in values.items() for i, v in enumerate(column) if not math.isfinite(v)]:
            index, name = min(bad, key=lambda found: found[0])
            kept = f"the last good state is kept in {state}" if state.exists() else "no state was saved before"
            raise DifflabError(
                f"{what}: {name} is {values[name][index]} at step {self._first_step + index}; {kept}; "
                "lower the learning rate or the gradient norm, then run again"
            )
        return values


class Speed:
    """Samples per second, the share of time spent waiting for data, memory and MFU since the last reading."""

    def __init__(self, device: torch.device, samples_per_step: int) -> None:
        self._device, self._samples_per_step = device, samples_per_step
        self._peak_rate: float | None = None
        self._restart()

    def set_flops(self, per_sample: float, peak: float) -> None:
        """Operations of a training step per sample, and operations per second of all devices at most."""
        self._peak_rate = peak / per_sample

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Time in here is the host's wait for data."""
        started = time.perf_counter()
        yield
        self._waited += time.perf_counter() - started

    @contextmanager
    def paused(self) -> Generator[None]:
        """Time in here (validation, saving) does not count."""
        started = time.perf_counter()
        yield
        self._started += time.perf_counter() - started

    def count_step(self) -> None:
        self._steps += 1

    def read(self) -> dict[str, str | float]:
        """Values for the status line; call it right after the device was read."""
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        rate = self._steps * self._samples_per_step / elapsed
        used = (
            torch.cuda.max_memory_allocated(self._device)
            if self._device.type == "cuda"
            else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        )
        values = {"samples/s": rate, "data wait": f"{self._waited / elapsed:.1%}", "memory": f"{used / 1e9:.2f} GB"}
        if self._peak_rate:
            values["MFU"] = f"{rate / self._peak_rate:.1%}"
        self._restart()
        return values

    def _restart(self) -> None:
        self._started, self._waited, self._steps = time.perf_counter(), 0.0, 0


def status_line(what: str, step: int, steps: int, values: dict[str, float | str]) -> str:
    """One status line: `transformer: step 200/600, loss 0.412, lr 0.0003, ...`."""
    parts = [f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in values.items()]
    return f"{what}: " + ", ".join([f"step {step}/{steps}", *parts])
