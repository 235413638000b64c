"""The job of a visitor as the server sees it: started, watched through its files, cancelled.

job/wish.json values.json    what was asked, and the parameters made of it
job/process.json             the process, which outlives the server
job/log.txt                  its log, see `difflab.app.personalise.process`
job/workspace/               where the experiment runs
job/outcome.json             how it ended
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from difflab.app.personalise import process
from difflab.app.personalise.process import LOG, OUTCOME, VALUES, WAITING
from difflab.app.personalise.wish import Wish, check, job_values
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, write_json

if TYPE_CHECKING:
    from difflab.app.personalise.sessions import Session

WISH, PROCESS = "wish.json", "process.json"
State = Literal["none", "waiting", "preparing", "training", "measuring", "done", "failed", "interrupted"]
RUNNING: tuple[State, ...] = ("waiting", "preparing", "training", "measuring")
STOPPED: tuple[State, ...] = ("failed", "interrupted")
_STEP = re.compile(r"^personal \S+: step (\d+)/(\d+)")
_GRACE = 10.0  # seconds in which a training saves its state when the server ends
_started: dict[int, subprocess.Popen] = {}  # by process id, so that those that end are waited for


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        step, steps: of the training; 0 before the first line of it.
        seconds_left: of the training, by its speed so far; None before two lines of it.
        reason: why it failed.
    """

    state: State
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    reason: str = ""

    @property
    def running(self) -> bool:
        return self.state in RUNNING


def start(session: "Session", wish: Wish, values: dict[str, Any]) -> None:
    """Start a job on the session's pictures, in place of an earlier one that has ended.

    Args:
        values: of this repository's params.yaml.

    Raises:
        DifflabError: one runs, or what is asked for cannot be trained.
    """
    if progress(session.job).running:
        raise DifflabError("a training runs already: wait for it, or cancel it")
    pictures = session.pictures()
    check(wish, [session.caption(picture) for picture in pictures])
    own = job_values(wish, len(pictures), session.folder, values)
    shutil.rmtree(session.job, ignore_errors=True)
    write_json(session.job / WISH, asdict(wish))
    write_json(session.job / VALUES, own)
    _launch(session.job)


def go_on(session: "Session") -> None:
    """Start a job again that has failed or was ended by force; its training resumes where its state was last saved."""
    if progress(session.job).state in STOPPED:
        (session.job / OUTCOME).unlink(missing_ok=True)
        _launch(session.job)


def _launch(job: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    with (job / LOG).open("a") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", process.__name__, str(job)],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    _started[started.pid] = started
    write_json(job / PROCESS, {"pid": started.pid, "created": psutil.Process(started.pid).create_time()})


def asked(job: Path) -> Wish | None:
    """What the job was asked for; None where there is no job."""
    return Wish(**read_json(job / WISH)) if (job / WISH).exists() else None


def progress(job: Path) -> Progress:
    """How far the job is, from its files alone, so that a server that was started again knows it too."""
    if not (job / WISH).exists():
        return Progress("none")
    step, steps, left, last = _read_log(job / LOG)
    if (job / OUTCOME).exists():
        reason = read_json(job / OUTCOME)["reason"]
        return Progress("failed" if reason else "done", step, steps, 0.0, reason)
    if not _group(job):
        if (job / OUTCOME).exists():  # it has just ended
            return progress(job)
        return Progress("interrupted", step, steps, None, last)
    if last == WAITING:
        return Progress("waiting")
    if not step:
        return Progress("preparing")
    return Progress("measuring" if step == steps else "training", step, steps, left)


def _read_log(path: Path) -> tuple[int, int, float | None, str]:
    """The last step, the number of steps, the seconds that are left of them, and the last line."""
    steps_at: list[tuple[float, int]] = []
    step = steps = 0
    last = ""
    for text in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            at, line = json.loads(text)
        except (TypeError, ValueError):  # the end of a line that is being written, or what Python itself says
            continue
        last = line or last
        if line == WAITING:  # started again
            steps_at, step = [], 0
        elif found := _STEP.match(line):
            step, steps = int(found[1]), int(found[2])
            steps_at.append((at, step))
    if len(steps_at) < 2 or steps_at[-1][1] == steps_at[0][1]:
        return step, steps, None, last
    (begun, first), (now, reached) = steps_at[0], steps_at[-1]
    left = (now - begun) / (reached - first) * (steps - reached)
    return step, steps, max(0.0, left - (time.time() - now)), last


def cancel(session: "Session") -> None:
    """End the job at once and remove it; the pictures stay."""
    _end(session.job, signal.SIGKILL)
    shutil.rmtree(session.job, ignore_errors=True)


def stop(job: Path) -> None:
    """End a job because the server ends: its training saves its state first."""
    _end(job, signal.SIGTERM)


def _end(job: Path, how: signal.Signals) -> None:
    """Send a signal once, and kill those that have not ended by it in time."""
    deadline = time.monotonic() + _GRACE
    for member in _group(job):
        _send(member, how)
    while members := _group(job):
        if time.monotonic() > deadline:
            for member in members:
                _send(member, signal.SIGKILL)
        time.sleep(0.05)


def _send(member: psutil.Process, how: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        member.send_signal(how)


def _group(job: Path) -> list[psutil.Process]:
    """The living processes of the job: its own, and those that it started."""
    if not (job / PROCESS).exists():
        return []
    told: dict[str, Any] = read_json(job / PROCESS)
    if (own := _started.get(told["pid"])) is not None:
        own.poll()
    found = []
    for member in psutil.process_iter():
        try:
            ours = os.getsid(member.pid) == told["pid"] and member.create_time() >= told["created"] - 1
            if ours and member.status() != psutil.STATUS_ZOMBIE:
                found.append(member)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue
    return found
