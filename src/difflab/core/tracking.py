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
    from difflab.core.stage import Stage

CURVE = "curve/"  # what is logged at steps; final values have plain names
_WAIT = 60.0  # seconds at the end; a server that is down is known in less
_RESTARTS = 3


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
        outputs: paths of the stage; pictures and pages under plots/ and reports/ become artifacts of a finished run.
    """

    def __init__(self, start: dict[str, Any], outputs: list[str]) -> None:
        self._outputs, self._failed = outputs, False
        self._folder = repository_root() / ".scratch" / "tracking"
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, hidden = tempfile.mkstemp(".new", f"{time.time_ns()}-", self._folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._stream = os.fdopen(descriptor, "wb", buffering=0)
        self._send(kind="start", **start)
        self._path = Path(hidden).with_suffix(".jsonl")  # seen by the recorder from here on, locked
        Path(hidden).rename(self._path)
        self._recorder: subprocess.Popen | None = None
        if not self._recorder_lives():
            self._start_recorder()

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        prefix = "" if step is None else CURVE
        numbers = {prefix + k: float(v) for k, v in metrics.items() if not isinstance(v, str)}
        if values := {k: v for k, v in numbers.items() if math.isfinite(v)}:
            self._send(kind="metrics", values=values, step=step or 0, time=int(time.time() * 1000))

    def resume(self, state: Path) -> None:
        self._send(kind="resume", state=sha256_bytes(str(state.resolve()).encode())[:16])

    def end(self, status: str) -> None:
        """A stage that was interrupted has to stop at once: it does not wait."""
        if status == "FINISHED":
            for path in filter(Path.is_file, artifacts(self._outputs)):
                self._send(kind="artifact", path=str(path.resolve()), parent=str(path.parent))
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
        restarts = _RESTARTS
        while self._path.exists():
            if time.monotonic() > deadline:
                return self._fail(f"no answer within {_WAIT:.0f} s")
            if not self._recorder_lives():
                if restarts == 0:
                    return self._fail(f"the recording process does not start (log: {self._folder / 'log'})")
                restarts -= 1
                self._start_recorder()
            time.sleep(0.05)
        with contextlib.suppress(FileNotFoundError):
            answer = self._path.with_suffix(".failed")
            self._fail(answer.read_text())
            answer.unlink()

    def _recorder_lives(self) -> bool:
        started = self._recorder is not None and self._recorder.poll() is None
        return started or is_locked(self._folder / "recorder")

    def _start_recorder(self) -> None:
        package_root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        with (self._folder / "log").open("ab") as log:
            self._recorder = subprocess.Popen(
                [sys.executable, "-m", "difflab.core.recorder", str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,  # MLflow makes folders in the current one
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C reaches the stage, which then ends the run
            )

    def _fail(self, reason: str) -> None:
        self._failed = True
        print(f"tracking: {reason}; the stage goes on without MLflow", file=sys.stderr)


def start(stage: "Stage") -> NoRun:
    """Begin to record a stage: NoRun where `tracking.enabled` is false and in all processes of a launch but the first."""
    if not stage.params.tracking.enabled or runtime.process_index()[0] > 0:
        return NoRun()
    entry = stage_entry(stage.entry_name, stage.item)
    tags = {
        "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline_rev": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "mlflow.source.git.commit": _commit(),
    }
    with contextlib.suppress(DifflabError):
        if "DVC_STAGE" in os.environ:  # dvc.lock has the hashes of all inputs, so this is quick
            tags["dvc.fingerprint"] = stage.fingerprint()
    try:
        record = start_record(stage.address, entry["cmd"], stage.params.as_dict(), tags)
        return Run(record, output_paths(entry))
    except OSError as error:
        print(f"tracking: {error}; the stage goes on without MLflow", file=sys.stderr)
        return NoRun()


def start_record(address: str, command: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """What the recorder must know of a run before all else.

    The command of a stage, `python -m stages.sd3.finetune --captions blip2`, tells its study, which is the MLflow
    experiment's name and a tag, and the values of its cell, which are parameters beside `params`.
    """
    words = shlex.split(command)
    module = next((word.split(".") for word in words if word.startswith("stages.")), [])
    study = module[1] if len(module) == 3 else ""
    options = dict(itertools.pairwise(words))
    cell = {k[2:].replace("-", "_"): v for k, v in options.items() if k.startswith("--") and k != "--as"}
    flat = {k: v if isinstance(v, str) else json.dumps(v) for k, v in dotted(params).items()}
    root = repository_root()
    return {
        "uri": os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}",
        "experiment": "/".join(filter(None, [os.environ.get("MLFLOW_EXPERIMENT_NAME", "difflab"), study])),
        "artifacts": (root / "mlartifacts").as_uri(),
        "params": flat | {f"cell.{k}": v for k, v in cell.items()},
        "tags": {k: v for k, v in {"dvc.stage": address, "difflab.study": study, **tags}.items() if v},
    }


def output_paths(entry: Mapping[str, Any]) -> list[str]:
    """The outputs and plots of a stage's entry in dvc.yaml, which are paths or `path: {option: value}`."""
    declared = [*entry.get("outs", []), *entry.get("plots", [])]
    return [path for out in declared for path in ([out] if isinstance(out, str) else out)]


def artifacts(outputs: list[str]) -> list[Path]:
    """The pictures and pages among a stage's outputs under plots/ and reports/, those in its folders too."""
    shown = [Path(path) for path in outputs if path.startswith(("plots/", "reports/"))]
    files = [file for path in shown for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in files if file.suffix in {".png", ".html"}]


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


def _commit() -> str:
    command = ["git", "rev-parse", "--verify", "-q", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
