"""What the benchmarks of training loops share: the machine, when a step begins, and the time inside some calls."""

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Iterator
from unittest import mock

import torch
from torch import nn

from difflab.core.params.common import RuntimeParams

Loop = Callable[[int], object]
"""Train for some more steps."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def machine(args: argparse.Namespace) -> RuntimeParams:
    """`runtime` by the options --threads, --device, --dtype and --compile."""
    return RuntimeParams(
        num_threads=args.threads, processes=1, device=args.device, dtype=args.dtype, compile=args.compile,
        numerics="pinned",
    )  # fmt: skip


class Stopwatch:
    """Adds up the time of some calls: wall time on a CPU, device time on a GPU (no synchronisation)."""

    def __init__(self, device: torch.device) -> None:
        self.gpu, self.spans = device.type == "cuda", []

    def now(self) -> "float | torch.cuda.Event":
        if not self.gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @contextlib.contextmanager
    def timing(self, calls: list[tuple[object, str]]) -> Iterator[None]:
        """Time each (owner, name) of `calls` within the block."""
        with contextlib.ExitStack() as stack:
            for owner, name in calls:
                stack.enter_context(mock.patch.object(owner, name, self._timed(getattr(owner, name))))
            yield

    def _timed(self, call: Callable) -> Callable:
        def wrapper(*args: object, **kwargs: object) -> object:
            start = self.now()
            result = call(*args, **kwargs)
            self.spans.append((start, self.now()))
            return result

        return wrapper

    def between(self, start: "float | torch.cuda.Event", end: "float | torch.cuda.Event") -> float:
        return start.elapsed_time(end) / 1000 if self.gpu else end - start


class Steps:
    """When each step of a loop begins: with the forward pass of its network, of which there is one a step.

    Attributes:
        said: what the last loop printed.
    """

    def __init__(self, network: nn.Module, *watches: Stopwatch) -> None:
        self.watches, self.starts, self.said = watches, [], ""
        network.register_forward_pre_hook(self._note)

    def _note(self, network: nn.Module, given: tuple) -> None:
        self.starts.append((self.watches[0].now(), *(len(watch.spans) for watch in self.watches)))

    def run(self, loop: Loop, steps: int, warmup: int) -> tuple[float, ...]:
        """Seconds of a step, and the share of it inside the calls of each watch."""
        self.starts.clear()
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()):
            loop(warmup + steps + 1)
        self.said = said.getvalue().strip()
        if self.watches[0].gpu:
            torch.cuda.synchronize()
        (first, *low), (last, *high) = self.starts[warmup], self.starts[warmup + steps]
        whole = self.watches[0].between(first, last)
        shares = [
            sum(watch.between(*span) for span in watch.spans[a:b]) / whole
            for watch, a, b in zip(self.watches, low, high, strict=True)
        ]
        return whole / steps, *shares
