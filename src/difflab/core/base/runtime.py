"""The machine a stage runs on: threads, device, precision, progress, interruption."""

import io
import os
import resource
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from difflab.core.base import numerics
from difflab.core.base.errors import DifflabError, Interrupted

if TYPE_CHECKING:
    import torch

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
exit_status: int | None = None  # of a stage that has ended; `stages` ends the process with it


def configure(num_threads: int, dtype: str = "float32") -> None:
    """Fix the number of threads, on which results on a CPU depend, complete `numerics.pin`, and quiet the libraries.

    With a dtype of float32 (`runtime.dtype`) GPUs compute in float32. With another, convolutions of float32 networks
    may round their inputs to TF32, as torch lets them, but for what `full_float32` encloses.

    Call it after the imports that bring torch, and before any work.
    """
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(num_threads)
    quieter = {"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
    for name, value in {**quieter, "HF_HUB_DISABLE_TELEMETRY": "1"}.items():
        os.environ.setdefault(name, value)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(num_threads)
        torch.backends.cudnn.allow_tf32 = dtype != "float32"
        torch.backends.cuda.matmul.allow_tf32 = False
        if process_index()[1] > 1 and torch.cuda.device_count() > (own := _launched("LOCAL_RANK", 0)):
            torch.cuda.set_device(own)
        if numerics.is_pinned():
            from difflab.core.base import elementary, fused_attention, products

            elementary.replace()
            products.replace()
            fused_attention.replace()


@contextmanager
def full_float32() -> Generator[None]:
    """Keep float32 networks from TF32 (10 bits of mantissa for 23) on GPUs; also a decorator of functions."""
    import torch

    kinds = torch.backends.cudnn, torch.backends.cuda.matmul
    allowed = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = False
        yield
    finally:
        for kind, before in zip(kinds, allowed, strict=True):
            kind.allow_tf32 = before


def print_everything() -> None:
    """Let what the encoding of stdout lacks come out as `\\u2212`, as on stderr, where it would end the program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def quiet() -> bool:
    """Whether progress bars would be noise: in CI, when nobody looks at the terminal, or beside the main process's."""
    return (
        os.environ.get("RANK", "0") != "0"
        or os.environ.get("CI", "").lower() in {"1", "true"}
        or not sys.stderr.isatty()
    )


def progress(items: Iterable, total: int | None = None, desc: str = "", unit: str = "it") -> Iterable:
    """A tqdm bar over `items`, silent where `quiet()`."""
    from tqdm import tqdm

    return tqdm(items, total=total, desc=desc, unit=unit, disable=quiet(), leave=False, dynamic_ncols=True)


def process_index() -> tuple[int, int]:
    """The index of this process and the number of processes, as `accelerate launch` and torchrun set them."""
    rank, size = _launched("RANK", 0), _launched("WORLD_SIZE", 1)
    if rank >= size:
        raise DifflabError(f"RANK is {rank} of WORLD_SIZE {size} in the environment: unset both, or use a launcher")
    return rank, size


def _launched(name: str, without: int) -> int:
    """A number that a launcher sets in the environment."""
    text = os.environ.get(name, str(without))
    if not text.isdecimal():
        raise DifflabError(f"{name} is '{text}' in the environment, where a launcher sets a number: unset it")
    return int(text)


def resolve_device(name: str) -> "torch.device":
    """`auto` takes the GPU where there is one (of several processes, each its own); other names are torch's.

    Raises:
        DifflabError: the named device is not on this machine.
    """
    import torch

    if name == "auto" or (name == "cuda" and process_index()[1] > 1):
        own, count = _launched("LOCAL_RANK", 0), torch.cuda.device_count()
        if count and own >= count:
            raise DifflabError(f"process {own} of this launch has no GPU, this machine shows {count}: start {count}")
        return torch.device("cuda", own) if count else torch.device("cpu")
    device = torch.device(name)
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(device.type, 1)
    if (device.index or 0) >= count:
        shown = f"{count} of that kind" if count else "none"
        raise DifflabError(f"runtime.device is '{name}' but this machine shows {shown}: use -S runtime.device=auto")
    return device


def resolve_dtype(name: str) -> "torch.dtype":
    import torch

    return getattr(torch, name)


def peak_memory() -> dict[str, float]:
    """The most memory that this process has held, in GB: `host_gb`, and `gpu_gb` where it used an NVIDIA GPU."""
    used = {"host_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / 1e9, 2)}
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_initialized():
            used["gpu_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return used


class StopSignal:
    """Set by the first Ctrl-C; a loop polls it, saves its state and raises `Interrupted`."""

    requested = False

    def __bool__(self) -> bool:
        return self.requested


@contextmanager
def graceful_stop(what: str) -> Generator[StopSignal]:
    """Turn the first Ctrl-C (or SIGTERM) into a flag that a loop polls; a second one stops at once."""
    stop = StopSignal()

    def handle(signum: int, frame: object) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        rank, count = process_index()
        if rank == 0 and (count == 1 or signum == signal.SIGINT):  # a launcher sends SIGTERM when a process has failed
            print(f"stopping: saving the state of {what} (Ctrl-C again to stop at once)", file=sys.stderr, flush=True)

    with signals_to(handle):
        yield stop


@contextmanager
def immediate_stop(what: str) -> Generator[None]:
    """Turn Ctrl-C (or SIGTERM) into `Interrupted` at once, for work whose finished parts are files already."""

    try:
        with signals_to(signal.default_int_handler):
            yield
    except KeyboardInterrupt:
        raise interrupted(what) from None


@contextmanager
def signals_to(handle: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """SIGINT and SIGTERM go to `handle` in the block, and where they went before after it."""
    previous = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def interrupted(what: str) -> Interrupted:
    return Interrupted(f"{what} stopped with its state saved: run the same command to go on")
