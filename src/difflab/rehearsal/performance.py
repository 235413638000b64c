"""The run of a rehearsal, stage by stage, and what it took."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from difflab.core.base.files import read_json
from difflab.core.base.runtime import signals_to

if TYPE_CHECKING:
    from difflab.rehearsal.workspace import Workspace

RAN, FAILED, WAITED = "ran", "failed", "not started"
LOG = "rehearsal.log"
STOPPED = (130, -signal.SIGTERM)  # exit status of `difflab repro` that was stopped: at work, or before it began
_COMMAND = "from difflab.cli.main import main; main()"
_OUTCOME = re.compile(r"\d+ (failed|skipped) \(([^)]*)\)")
_ERROR = re.compile(r"^(?:ERROR [\w@.-]+: .*|\w*(?:Error|Exception)\b.*|Killed.*)")


class Performed(NamedTuple):
    """What became of a stage."""

    stage: str
    outcome: str  # ran, failed or not started
    seconds: float | None
    host_gb: float | None  # the most memory that its process held
    gpu_gb: float | None


def perform(place: "Workspace", arguments: Iterable[str], say: Callable[[str], None]) -> tuple[dict[str, str], float]:
    """Run `difflab repro` in the copy, each line said and kept in the log.

    Returns:
        outcomes of the stages that did not run, by name; minutes.
    """
    began, outcomes = time.monotonic(), dict[str, str]()
    command = [sys.executable, "-c", _COMMAND, "repro", *arguments]
    process = subprocess.Popen(
        command, cwd=place.repository, env=place.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    with (place.folder / LOG).open("w", buffering=1) as log, _stopping(process):
        for line in cast("IO[str]", process.stdout):
            log.write(line)
            say(line.rstrip("\n"))
            if line.startswith("Stages: "):
                for what, names in _OUTCOME.findall(line):
                    outcomes |= dict.fromkeys(names.split(", "), FAILED if what == "failed" else WAITED)
    if process.wait() in STOPPED:
        raise KeyboardInterrupt
    return outcomes, (time.monotonic() - began) / 60


@contextlib.contextmanager
def _stopping(process: subprocess.Popen) -> Generator[None]:
    """Hand Ctrl-C and SIGTERM on to the run, which lets its stages save their states and ends."""

    def stop(signum: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()

    with signals_to(stop):
        yield


def performed(place: "Workspace", stages: Iterable[str], outcomes: dict[str, str]) -> list[Performed]:
    """Seconds and peak memory of every stage; of one that was up to date those of its last run."""
    rows = []
    for stage in stages:
        file = place.repository / ".scratch" / "times" / f"{stage}.json"
        noted = read_json(file) if file.exists() else {}
        outcome = outcomes.get(stage, RAN if noted.get("status") == "FINISHED" else WAITED)
        measured = {} if outcome == WAITED else noted
        rows.append(Performed(stage, outcome, *(measured.get(n) for n in ("seconds", "host_gb", "gpu_gb"))))
    return rows


def table(rows: list[Performed]) -> str:
    """The stages, one a line, and all of them together."""
    width = max(len("all, one after the other"), *(len(row.stage) for row in rows))
    lines = [f"{'stage':<{width}}  {'seconds':>8}  {'host GB':>7}  {'GPU GB':>6}"]
    for row in rows:
        lines.append(
            _line(row.stage, row.seconds, row.host_gb, row.gpu_gb, "" if row.outcome == RAN else row.outcome, width)
        )
    most = [max((value for value in column if value is not None), default=None) for column in
        ([row.host_gb for row in rows], [row.gpu_gb for row in rows])]  # fmt: skip
    together = sum(row.seconds or 0 for row in rows)
    return "\n".join([*lines, _line("all, one after the other", together, *most, "", width)])


def _line(name: str, seconds: float | None, host: float | None, gpu: float | None, note: str, width: int) -> str:
    shown = ["" if value is None else f"{value:.{digits}f}" for value, digits in ((seconds, 1), (host, 2), (gpu, 2))]
    return f"{name:<{width}}  {shown[0]:>8}  {shown[1]:>7}  {shown[2]:>6}  {note}".rstrip()


def error_of(stage: str, log: Path) -> str:
    """The line of the log that says why a stage failed."""
    lines = log.read_text(errors="replace").splitlines()
    own = [line for line in lines if line.startswith(f"ERROR {stage.partition('@')[0]}: ")]
    return (own or [line for line in lines if _ERROR.match(line)] or ["it ended without a word: see the log"])[-1]
