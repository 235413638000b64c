"""Every stage as an MLflow run, recorded by another process so that it can neither slow nor break the stage.

That process (`difflab.core.tracking_worker`) imports MLflow while the stage imports its own libraries, and is fed
JSON lines through a pipe that the stage never waits for. If it or the server fails, one line on stderr
says so and the stage goes on: the files under metrics/ are the result, MLflow is a way to look at them.
"""

import contextlib
import json
import math
import os
import select
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import dotted
from difflab.core.tracking_link import recorder

if TYPE_CHECKING:
    from difflab.core.stage import Stage

_MAX_BACKLOG = 16 << 20  # bytes that wait for the recorder before further records are dropped
_WAIT_STOP = 1.0
_WAIT_LOCAL, _WAIT_SERVER = 60.0, 20.0  # seconds; a new database takes some, a server that is down must not


class NoRun:
    """The run of a stage that is not tracked: every method does nothing."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers; NaN and infinity are left out. With `step`, points of curves, else final values."""

    def log_artifact(self, path: str | Path) -> None:
        """Record a file or folder as it is at this moment."""

    def resume(self, folder: Path) -> None:
        """Go on with the run whose id is kept in this folder, or keep this run's id there."""

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED and wait, within limits, until it is stored."""


class Run(NoRun):
    """A run that another process records."""

    def __init__(self, stage: "Stage") -> None:
        root = Path(os.environ.get("DVC_ROOT", ".")).resolve()
        self._folder = root / ".scratch" / "tracking"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spool = Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))
        self._log = self._spool / "log"
        self._stage, self._backlog, self._failed, self._after = stage, bytearray(), False, 0
        self._uri = tracking_uri(root)
        self._recorder = recorder(self._spool)
        self._pipe = self._recorder.descriptor
        tags = {
            "dvc.stage": stage.address,
            "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
            "dvc.baseline_rev": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        }
        self._send(
            kind="start",
            uri=self._uri,
            artifacts=(root / "mlartifacts").as_uri(),
            repository=str(Path.cwd()),
            params=flat(stage.values()),
            tags={k: v for k, v in tags.items() if v},
        )

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        numbers = {k: float(v) for k, v in metrics.items() if not isinstance(v, str)}
        if step is not None:  # final values come after: MLflow shows the highest step as the latest
            self._after = max(self._after, step + 1)
        if values := {k: v for k, v in numbers.items() if math.isfinite(v)}:
            at = self._after if step is None else step
            self._send(kind="metrics", values=values, step=at, time=int(time.time() * 1000))

    def log_artifact(self, path: str | Path) -> None:
        path = Path(path)
        copy = Path(tempfile.mkdtemp(prefix="artifact-", dir=self._spool)) / path.name
        try:
            if path.is_dir():
                shutil.copytree(path, copy)
            else:
                shutil.copyfile(path, copy)
        except OSError as error:
            return self._fail(f"{path} was not recorded: {error}")
        parent = "" if path.is_absolute() or path.parent == Path() else path.parent.as_posix()
        self._send(kind="artifact", path=str(copy), parent=parent)

    def resume(self, folder: Path) -> None:
        self._send(kind="resume", file=str((folder / "mlflow_run_id").resolve()))

    def end(self, status: str) -> None:
        """The end of a killed run is handed over and not waited for: the stage has to stop at once."""
        if status == "KILLED":
            limit = _WAIT_STOP
        else:
            limit = _WAIT_LOCAL if self._uri.startswith("sqlite:") else _WAIT_SERVER
        deadline = time.monotonic() + limit
        if "DVC_STAGE" in os.environ:  # dvc.lock has the hashes of all inputs, so this is quick
            with contextlib.suppress(DifflabError):
                self._send(kind="tags", values={"dvc.fingerprint": self._stage.fingerprint()})
        self._send(kind="end", status=status)
        self._drain(deadline)
        self._recorder.close()
        if status == "KILLED":
            return
        try:
            if not self._recorder.stored(max(0.0, deadline - time.monotonic())):
                self._fail(self._reason())
        except TimeoutError:
            self._fail(f"no answer within {limit:.0f} s")

    def _send(self, **message: Any) -> None:
        """Hand a record over as far as the pipe takes it; the rest waits for the next call."""
        if self._failed:
            return
        if len(self._backlog) > _MAX_BACKLOG and message["kind"] != "end":
            return self._fail("the records come faster than MLflow takes them")
        self._backlog += json.dumps(message).encode() + b"\n"
        self._write()

    def _write(self) -> None:
        try:
            while self._backlog:
                del self._backlog[: os.write(self._pipe, self._backlog[: 1 << 16])]
        except BlockingIOError:
            pass
        except OSError:
            self._fail(self._reason())

    def _drain(self, deadline: float) -> None:
        room = select.poll()  # select() knows the first 1,024 files of a process only
        room.register(self._pipe, select.POLLOUT)
        while self._backlog and not self._failed and time.monotonic() < deadline:
            room.poll(100)
            self._write()

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            self._backlog.clear()
            print(f"tracking: {reason}; the stage goes on without MLflow (log: {self._log})", file=sys.stderr)

    def _reason(self) -> str:
        """The recorder's last error, from the run's log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        errors = [line.removeprefix("ERROR ") for line in lines if line.startswith("ERROR ")]
        return errors[-1][:300] if errors else "the recording process ended"


def start(stage: "Stage") -> NoRun:
    """Begin to record a stage, or return the run that does nothing where `tracking.enabled` is false."""
    if not stage.params.tracking.enabled:
        return NoRun()
    try:
        return Run(stage)
    except OSError as error:
        print(f"tracking: {error}; the stage goes on without MLflow", file=sys.stderr)
        return NoRun()


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, else the database in the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"


def flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested parameters as dotted keys and text."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in dotted(values).items()}
