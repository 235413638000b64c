"""`dvc repro` with several stages at once.

DVC runs one stage after the other, but lets several processes run different stages of one repository: it locks
the repository except while a stage's command runs. So each stage here is its own `dvc repro --single-item`, started
when what it depends on is done and a place is free; of several, one that the SD3 table waits for goes first, then the
one with the longest way to the end. They are forked from this process (`difflab.cli.resident`), or programs of their own
where that cannot be: with a GPU, which no fork can share, and on other systems than Linux.
"""

import contextlib
import functools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from difflab.cli import resident
from difflab.cli.changed import changed
from difflab.cli.progress import Progress, remaining_seconds
from difflab.cli.times import expected_seconds, last_run
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import load_params

DONE, FAILED, SKIPPED = "done", "failed", "skipped"
REPORT = Path("reports/index.html")
TABLE = "score"  # makes the table that people wait for
_PRELOADED_FROM = 3  # stages: fewer start faster each by itself
# What DVC says of every single stage; the stages' own lines tell the same.
_CHATTER = ("Use `dvc push`", "> ", "Updating lock file", "Generating lock file", "To track the changes", "\tgit add")


def default_jobs() -> int:
    """One stage for each GPU; without one, as many as the processors hold, each with `runtime.num_threads`."""
    if gpus := visible_gpus():
        return len(gpus)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors // load_params().runtime.num_threads)


def visible_gpus() -> list[str]:
    """Numbers or names of the CUDA devices, found without importing torch."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


def repro(targets: Collection[str], jobs: int | None = None) -> dict[str, str]:
    """Bring the targets (all stages if there are none) up to date, `jobs` stages at once (None: `default_jobs`).

    A failed stage stops what depends on it, nothing else. Several GPUs are dealt out to the stages at work; one with more
    than one is split over them (`runtime.processes`).

    Returns:
        for each stage that was out of date: "done", "failed" or "skipped", because a stage before it failed.

    Raises:
        DifflabError: an unknown target, or DVC cannot read the pipeline.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the running stages have ended.
    """
    needs = changed(targets)
    if not needs:
        return {}
    jobs = jobs or default_jobs()
    seconds, began = expected_seconds(needs), time.time()
    progress = Progress(needs, seconds, jobs, lambda stage: last_run(stage, began))
    gpus = visible_gpus()
    forked = sys.platform == "linux" and not gpus
    if forked and len(needs) >= _PRELOADED_FROM:
        resident.preload()
    shares = (
        [gpus[job::jobs] or gpus[job % len(gpus) :][:1] for job in range(jobs)] if gpus and jobs > 1 else [[]] * jobs
    )
    places = [{"CUDA_VISIBLE_DEVICES": ",".join(share)} if share else {} for share in shares]
    urgency = _urgency(needs, seconds)
    order = TopologicalSorter(needs)
    order.prepare()
    outcomes: dict[str, str] = {}
    ready: list[str] = []
    with _running(forked) as running:
        while order.is_active():
            ready = sorted([*ready, *order.get_ready()], key=urgency.__getitem__)
            ended: list[str] = []
            while ready and places and not ended:
                stage = ready.pop()
                if all(outcomes[before] == DONE for before in needs[stage]):
                    progress.started[stage] = time.monotonic()
                    running.start(stage, places.pop())
                else:
                    outcomes[stage] = SKIPPED
                    ended.append(stage)
            for stage, place, code in [] if ended else running.wait():
                outcomes[stage] = FAILED if code else DONE
                places.append(place)
                ended.append(stage)
            for stage in ended:
                order.done(stage)
                progress.ended(stage, outcomes[stage])
                if stage == TABLE and outcomes[stage] == DONE:
                    with contextlib.suppress(DifflabError, OSError, KeyError):  # a part of it is not there
                        print(f"\n{sd3_table()}\n", flush=True)
    return {stage: outcomes[stage] for stage in needs}


def _urgency(needs: Mapping[str, list[str]], seconds: Mapping[str, float]) -> dict[str, tuple[bool, float]]:
    """What orders stages that are ready, the most urgent last."""
    wanted, waiting = set(), [TABLE] if TABLE in needs else []
    while waiting:
        wanted.add(stage := waiting.pop())
        waiting.extend(needs[stage])
    return {stage: (stage in wanted, left) for stage, left in remaining_seconds(needs, seconds).items()}


@dataclass
class _Process:
    """A stage at work."""

    stage: str
    place: dict[str, str]
    output: int
    end: Callable[[], int]
    text: bytes = b""

    def passed_on(self) -> bool:
        """Print the whole lines of what there is to read; false at its end."""
        read = os.read(self.output, 65536)
        *lines, self.text = (self.text + read).split(b"\n") if read else (self.text, b"")
        for line in (line.decode(errors="replace") for line in lines):
            if line.strip() and not line.startswith(_CHATTER):
                print(line, flush=True)
        return bool(read)


class _Running:
    """The stages at work, each a child process whose lines are printed as they come."""

    def __init__(self, forked: bool) -> None:
        self._forked, self._selector = forked, selectors.DefaultSelector()

    def __len__(self) -> int:
        return len(self._selector.get_map())

    def start(self, stage: str, place: dict[str, str]) -> None:
        arguments = ["--wait-for-lock", "repro", "--single-item", stage]
        if self._forked:
            others = [self._selector.fileno(), *(key.fd for key in self._selector.get_map().values())]
            pid, output = resident.fork_dvc(arguments, place, others)
            end = functools.partial(_exit_status, pid)
        else:
            output, write = os.pipe()
            command = [sys.executable, "-m", "dvc", *arguments]
            end = subprocess.Popen(command, env=os.environ | place, stdout=write, stderr=subprocess.STDOUT).wait
            os.close(write)
        self._selector.register(output, selectors.EVENT_READ, _Process(stage, place, output, end))

    def wait(self) -> Iterable[tuple[str, dict[str, str], int]]:
        """Print what stages say until at least one ends; stage, place and exit status of those that do."""
        ended = []
        while not ended and len(self):
            for key, _ in self._selector.select():
                process: _Process = key.data
                if not process.passed_on():
                    self._selector.unregister(process.output)
                    os.close(process.output)
                    ended.append((process.stage, process.place, process.end()))
        return ended


def _exit_status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextlib.contextmanager
def _running(forked: bool) -> Generator[_Running]:
    """The stages at work; SIGTERM is to them what Ctrl-C is, and the block ends when they have."""
    running = _Running(forked)

    def stop(signum: int, frame: object) -> None:
        _interrupt_children()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield running
    finally:
        while len(running):
            with contextlib.suppress(KeyboardInterrupt):  # the stages have it too
                running.wait()
        signal.signal(signal.SIGTERM, previous)


def _interrupt_children() -> None:
    """Send what Ctrl-C in a terminal sends: SIGINT to all processes of this group."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == os.getpgrp():
                process.send_signal(signal.SIGINT)


def sd3_table() -> str:
    """The SD3 table of the results that lie here, with what its values are."""
    from difflab.report.report import table_note, tables
    from difflab.report.summary import part, summarise

    params = load_params()
    density, comparable = params.finetune.density.model_dump(), params.report.comparable
    trained_on = params.trained_on.model_dump().values()
    summary = summarise(params.logit_mean.model_dump(), density, comparable, trained_on=trained_on)
    return f"{tables(summary)['fid_table']}\n\n{table_note(part(summary, 'sd3'))}"


def summary(outcomes: Mapping[str, str], seconds: float) -> str:
    """How many stages ran in which time, and which failed or were not started; then where the report is."""
    counts = []
    for outcome in (DONE, FAILED, SKIPPED):
        names = [stage for stage, of in outcomes.items() if of == outcome]
        if names:
            counts.append(f"{len(names)} {outcome}" + ("" if outcome == DONE else f" ({', '.join(names)})"))
    line = f"Stages: {', '.join(counts)}, in {seconds / 60:.1f} minutes." if counts else "Everything is up to date."
    complete = all(outcome == DONE for outcome in outcomes.values())
    return f"{line}\nThe report: {REPORT}" if complete and REPORT.exists() else line
