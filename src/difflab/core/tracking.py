"""Every stage as an MLflow run, recorded by another process so that it can neither slow nor break the stage.

A stage appends JSON lines to a file under `.scratch/tracking`, which takes microseconds and waits for nobody. One
process for the whole repository, `difflab.core.recorder`, reads the files of all stages and writes their runs. The
stage holds a lock on its file, which the system gives up when the stage ends, however it ends. If MLflow or its server
fails, one line on stderr says so and the stage goes on: the files under metrics/ are the result, MLflow a view of it.
"""

import contextlib
import fcntl
import itertools
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes
from difflab.core.params.loading import dotted, stage_entry

if TYPE_CHECKING:
    from difflab.core.base.stage import Stage

CURVE = "curve/"  # what is logged at steps; final values have plain names
_WAIT = 60.0  # seconds at the end; a server that is down is known in less
_STARTS = 3  # of the recording process while a stage waits


class NoRun:
    """The run of a stage that is not tracked: every method does nothing."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers: with `step` points of curves, else final values. NaN, infinity and text are left out."""

    def resume(self, state: Path) -> None:
        """Continue the interrupted run of this state folder if there is one."""

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED and wait, within limits, until it is stored."""


class Run(NoRun):
    """A run that another process records.

    Args:
        start: what `start_record` makes.
        outputs: of the stage; pictures and pages under plots/ and reports/ become artifacts of a finished run.
    """

    def __init__(self, start: dict[str, Any], outputs: list[str]) -> None:
        self._outputs, self._failed = outputs, False
        self._folder = repository_root() / ".scratch" / "tracking"
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, hidden = tempfile.mkstemp(".new", f"{time.time_ns()}-", self._folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._stream = os.fdopen(descriptor, "wb", buffering=0)
        self._send(kind="start", **start)
        self._path = Path(hidden).rename(Path(hidden).with_suffix(".jsonl"))  # seen by the recorder from here on
        self._recorder: subprocess.Popen | None = None
        if not self._recorder_lives():
            self._start_recorder()

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        prefix = "" if step is None else CURVE
        numbers = {prefix + k: float(v) for k, v in metrics.items() if v is not None and not isinstance(v, str)}
        if values := {k: v for k, v in numbers.items() if math.isfinite(v)}:
            self._send(kind="metrics", values=values, step=step or 0, time=int(time.time() * 1000))

    def resume(self, state: Path) -> None:
        self._send(kind="resume", state=sha256_bytes(str(state.resolve()).encode())[:16])

    def end(self, status: str) -> None:
        """A stage that was interrupted has to stop at once: it does not wait."""
        if status == "FINISHED":
            shown = [Path(path) for path in self._outputs if path.startswith(("plots/", "reports/"))]
            for file in [file for path in shown for file in (path, *sorted(path.rglob("*")))]:
                if file.suffix in {".png", ".html"} and file.is_file():
                    self._send(kind="artifact", path=str(file.resolve()), parent=str(file.parent))
        self._send(kind="end", status=status)
        if status != "KILLED" and not self._failed:
            self._wait(time.monotonic() + _WAIT)
        self._stream.close()

    def _send(self, **message: Any) -> None:
        if not self._failed:
            try:
                self._stream.write(json.dumps(message).encode() + b"\n")
            except OSError as error:
                self._fail(str(error))

    def _wait(self, deadline: float) -> None:
        """Until the recorder has removed the file, which says that all of it is stored."""
        starts = 0
        while self._path.exists():
            if time.monotonic() > deadline:
                return self._fail(f"no answer within {_WAIT:.0f} s")
            if not self._recorder_lives():
                if starts == _STARTS:
                    return self._fail(f"the recording process does not start (log: {self._folder / 'log'})")
                starts += 1
                self._start_recorder()
            time.sleep(0.05)
        if (answer := self._path.with_suffix(".failed")).exists():
            self._fail(answer.read_text())
            answer.unlink()

    def _recorder_lives(self) -> bool:
        started = self._recorder is not None and self._recorder.poll() is None
        return started or is_locked(self._folder / "recorder")

    def _start_recorder(self) -> None:
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        with (self._folder / "log").open("ab") as log:
            self._recorder = subprocess.Popen(
                [sys.executable, "-m", "difflab.core.recorder", str(self._folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path},
                cwd=self._folder,  # MLflow makes folders in the current one
                start_new_session=True,  # Ctrl-C reaches the stage, which then ends the run
            )  # fmt: skip

    def _fail(self, reason: str) -> None:
        self._failed = True
        _warn(reason)


def start(stage: "Stage") -> NoRun:
    """Begin to record a stage: NoRun where `tracking.enabled` is false and in all processes of a launch but the first."""
    if not stage.params.tracking.enabled or runtime.process_index()[0] > 0:
        return NoRun()
    entry, head = stage_entry(stage.entry_name, stage.item), ""
    with contextlib.suppress(OSError):  # no git here
        asked = ["git", "rev-parse", "--verify", "-q", "HEAD"]
        head = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    tags = {
        "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline_rev": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "mlflow.source.git.commit": head,
    }
    with contextlib.suppress(DifflabError):
        if "DVC_STAGE" in os.environ:  # dvc.lock has the hashes of all inputs, so this is quick
            tags["dvc.fingerprint"] = stage.fingerprint()
    declared = [*entry.get("outs", []), *entry.get("plots", [])]  # paths, or `path: {option: value}`
    outputs = [path for out in declared for path in ([out] if isinstance(out, str) else out)]
    try:
        return Run(start_record(stage.address, entry["cmd"], stage.params.as_dict(), tags), outputs)
    except OSError as error:
        _warn(str(error))
        return NoRun()


def start_record(address: str, command: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """What the recorder must know of a run before all else.

    The command of a stage, `python -m stages.sd3.finetune --captions blip2`, tells its study, which is the MLflow
    experiment's name and a tag, and the values of its cell, which are parameters beside `params`.
    """
    words = shlex.split(command)
    study = next((word.split(".")[1] for word in words if word.startswith("stages.") and word.count(".") == 2), "")
    flat = {k: v if isinstance(v, str) else json.dumps(v) for k, v in dotted(params).items()}
    for option, value in itertools.pairwise(words):
        if option.startswith("--") and option != "--as":
            flat[f"cell.{option[2:].replace('-', '_')}"] = value
    root = repository_root()
    return {
        "uri": os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}",
        "experiment": "/".join(filter(None, [os.environ.get("MLFLOW_EXPERIMENT_NAME", "difflab"), study])),
        "artifacts": (root / "mlartifacts").as_uri(),
        "params": flat,
        "tags": {k: v for k, v in {"dvc.stage": address, "difflab.study": study, **tags}.items() if v},
    }


def repository_root() -> Path:
    """The main repository, also in the temporary workspace of an experiment."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock on a file."""
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _warn(reason: str) -> None:
    print(f"tracking: {reason}; the stage goes on without MLflow", file=sys.stderr)
