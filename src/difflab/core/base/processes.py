"""One stage in several processes, one for each device: how many, their start, and what is said of their end.

A stage that can be split starts itself again under torch's elastic launcher, the one of torchrun and of `accelerate
launch`, so that its command in dvc.yaml is the same for one device and for eight. Its processes tell each other nothing
but gradients (`difflab.training.shares`) and files (`difflab.core.base.sharding`). The first one alone prints, tracks and
writes results; what the others have to say goes through files to the process that a person has started.
"""

import contextlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import process_index

SAID = "DIFFLAB_SAID"  # the folder for what the processes of one launch say at their end
GRACE_S = 600  # after Ctrl-C, to finish a step and save the state


class PeerEnded(DifflabError):
    """Another process of this launch has ended; why is for that one to say."""


class Ended(DifflabError):
    """A launch was stopped (status 130) or has failed; the text, perhaps a traceback, is what that process has to say."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def wanted(setting: int | Literal["auto"], device: str) -> int:
    """The number of processes that a stage starts for `runtime.processes` and `runtime.device`; 1: itself alone.

    `auto` is the number of visible GPUs, and 1 without one or with a named one. A process of a launcher starts no other.

    Raises:
        DifflabError: there are fewer devices.
    """
    if setting == 1 or "WORLD_SIZE" in os.environ:
        return 1
    import torch

    gpus = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    if setting == "auto":
        return max(1, gpus)
    if device not in ("auto", "cpu", "cuda"):
        raise DifflabError(
            f"runtime.processes is {setting}, but runtime.device names the one device '{device}': set it to auto"
        )
    if gpus and setting > gpus:
        raise DifflabError(f"runtime.processes is {setting}, but this machine shows {gpus} GPUs: set it to auto")
    return setting


def launch(command: Sequence[str], count: int) -> None:
    """Run `python <command>` in `count` processes on this machine until all have ended well.

    After Ctrl-C or SIGTERM they have `GRACE_S` seconds to save their states; a second one ends them at once.

    Raises:
        Ended: one has failed, after which the others were ended, or all were stopped.
        DifflabError: one was killed.
    """
    import psutil
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they warn of, `Ended` tells
    with tempfile.TemporaryDirectory(prefix="difflab-") as folder:
        config = LaunchConfig(
            1, 1, count, logs_specs=DefaultLogsSpecs(log_dir=folder), run_id="difflab", rdzv_backend="c10d",
            rdzv_endpoint="localhost:0", local_addr="localhost", max_restarts=0, signals_to_handle="SIGTERM,SIGINT",
            shutdown_timeout=GRACE_S,
        )  # fmt: skip
        os.environ[SAID] = folder
        previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            elastic_launch(config, sys.executable)(*command)
        except SignalException:
            for left in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    left.kill()
            raise Ended(_said(folder, "stop", range(count)) or "stopped", 130) from None
        except ChildFailedError as error:
            raise _failure(folder, {rank: failure.exitcode for rank, failure in error.failures.items()}) from None
        finally:
            del os.environ[SAID]
            for number, handler in previous.items():
                signal.signal(number, handler)


def say(text: str, why: Literal["error", "stop"]) -> bool:
    """Leave what is to be said of this process's end to the process that started it; false where none did."""
    if folder := os.environ.get(SAID):
        Path(folder, f"{why}-{process_index()[0]}").write_text(text)
    return bool(folder)


def _failure(folder: str, codes: dict[int, int]) -> DifflabError:
    """The error of a launch from the exit codes of its failed processes; those below 0 were killed, by that signal."""
    ranks = sorted(codes)
    if text := _said(folder, "error", ranks):
        return Ended(text, 1)
    for rank in ranks:
        if codes[rank] < 0 and codes[rank] != -signal.SIGTERM:  # the others were ended by that
            name = signal.Signals(-codes[rank]).name
            memory = ", perhaps because the memory was full" if name == "SIGKILL" else ""
            return DifflabError(
                f"process {rank} was ended by {name}{memory}: run the same command to go on, or with fewer processes "
                "(runtime.processes)"
            )
    return DifflabError(f"process {ranks[0]} ended with status {codes[ranks[0]]} without a word: run it again")


def _said(folder: str, why: str, ranks: Sequence[int]) -> str:
    """What the first of these processes that said anything has said."""
    files = [Path(folder, f"{why}-{rank}") for rank in ranks]
    return next((file.read_text() for file in files if file.exists()), "")
