"""The process that writes stages' MLflow runs: JSON lines in, MLflow out.

Started by `difflab.core.tracking_link`, for one stage, which it reads on stdin and answers by its exit status, or for
all stages of a `difflab repro`, each a connection of its own. The end of the input without an `end` record means
that the stage was killed, and the run is closed as such.
"""

import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_FLUSH_SECONDS = 2.0
_MAX_METRICS, _MAX_PARAMS = 1000, 100  # what one request to an MLflow server may hold
_MAX_PARAM_LENGTH = 6000


class Recorder:
    """One run: made when the first record needs it, metrics buffered and written in batches.

    The runs of a DVC experiment hang under a run of its name, those of a sweep (`-n NAME --queue` makes NAME-1,
    NAME-2, ...) under one of NAME.
    """

    def __init__(self, start: dict[str, Any], client: Any, experiment: str, lock: Path) -> None:
        self._start, self._client, self._experiment, self._lock = start, client, experiment, lock
        self._run_id: str | None = None
        self._metrics: list[Any] = []

    def handle(self, message: dict[str, Any]) -> None:
        """Take one record, any kind but `start`."""
        match message["kind"]:
            case "metrics":
                self._buffer(message)
            case "artifact":
                self._client.log_artifact(self.run_id, message["path"], message["parent"] or None)
            case "resume":
                self._resume(Path(message["file"]))
            case "tags":
                for key, value in message["values"].items():
                    self._client.set_tag(self.run_id, key, value)
            case "end":
                self.flush()
                self._client.set_terminated(self.run_id, message["status"])

    def has(self, stage: str, params: dict[str, str], metrics: dict[str, float]) -> bool:
        """Whether a finished run of this stage has these parameters and, as latest values, these metrics."""
        from mlflow.entities import Run

        def same(run: Run) -> bool:
            known = {k: v[:_MAX_PARAM_LENGTH] for k, v in params.items()}
            return run.data.params == known and metrics.items() <= run.data.metrics.items()

        query = f"tags.`dvc.stage` = '{stage}' and attributes.status = 'FINISHED'"
        return any(map(same, self._client.search_runs([self._experiment], query)))

    @property
    def run_id(self) -> str:
        if self._run_id is None:
            self._run_id = self._create()
        return self._run_id

    def flush(self) -> None:
        """Write the buffered metrics; those of a failed request stay for the next one."""
        while self._metrics:
            self._client.log_batch(self.run_id, metrics=self._metrics[:_MAX_METRICS])
            del self._metrics[:_MAX_METRICS]

    def _buffer(self, message: dict[str, Any]) -> None:
        from mlflow.entities import Metric

        for key, value in message["values"].items():
            self._metrics.append(Metric(key, value, message["time"], message["step"]))
        if len(self._metrics) >= _MAX_METRICS:
            self.flush()

    def _create(self) -> str:
        from mlflow.entities import Param

        tags = {**_git_tags(self._start["repository"]), **self._start["tags"]}
        if name := tags.get("dvc.exp_name"):
            with self._lock.open("w") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                tags["mlflow.parentRunId"] = self._group(name)
        label = tags.get("dvc.exp_name") or tags.get("mlflow.source.git.commit", "")[:7] or "uncommitted"
        tags["mlflow.source.name"] = stage = tags["dvc.stage"]
        run = self._client.create_run(self._experiment, tags=tags, run_name=f"{stage}:{label}")
        params = [Param(key, value[:_MAX_PARAM_LENGTH]) for key, value in self._start["params"].items()]
        for begin in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(run.info.run_id, params=params[begin : begin + _MAX_PARAMS])
        return run.info.run_id

    def _group(self, name: str) -> str:
        """The id of the run under which those of an experiment or a sweep hang; made where there is none."""
        query = f"tags.`difflab.group` = '{name}'"
        if found := self._client.search_runs([self._experiment], query, max_results=1):
            return found[0].info.run_id
        tags = {"difflab.group": name, "dvc.exp_name": name}
        sweep = re.fullmatch(r"(.+)-\d+", name)
        if sweep:
            tags["mlflow.parentRunId"] = self._group(sweep[1])
        run = self._client.create_run(self._experiment, tags=tags, run_name=name)
        self._client.set_terminated(run.info.run_id, "FINISHED")
        return run.info.run_id

    def _resume(self, file: Path) -> None:
        """Take over the run that `file` names if it still exists, else leave this run's id there."""
        from mlflow.exceptions import MlflowException

        if self._run_id is None and file.exists():
            with contextlib.suppress(MlflowException):
                self._run_id = self._client.get_run(file.read_text()).info.run_id
                self._client.update_run(self._run_id, status="RUNNING")
                return
        with contextlib.suppress(FileNotFoundError):  # the stage is done already and its scratch folder gone
            file.write_text(self.run_id)


def connect(start: dict[str, Any], lock: Path) -> Recorder:
    """Open the store and the experiment.

    Creating a database or an experiment is not safe against others who do the same, hence the lock.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "difflab")
    local = start["uri"].startswith("sqlite:")
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        client = MlflowClient(start["uri"])
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return Recorder(start, client, experiment.experiment_id, lock)
        try:
            location = start["artifacts"] if local else None  # a server knows where its artifacts go
            made = client.create_experiment(name, artifact_location=location)
        except MlflowException:  # another machine was quicker
            made = client.get_experiment_by_name(name).experiment_id
        return Recorder(start, client, made, lock)


def messages(descriptor: int) -> Iterator[dict[str, Any] | None]:
    """The records from a pipe as they come; None where `_FLUSH_SECONDS` passed since the last None."""
    pending, quiet_since = b"", time.monotonic()
    while True:
        wait = max(0.0, quiet_since + _FLUSH_SECONDS - time.monotonic())
        if select.select([descriptor], [], [], wait)[0]:
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            yield from map(json.loads, lines)
        if time.monotonic() >= quiet_since + _FLUSH_SECONDS:
            quiet_since = time.monotonic()
            yield None


def record(descriptor: int, lock: Path, log: TextIO) -> bool:
    """Write everything that arrives; whether all of it is stored. Errors go to the log."""
    incoming = messages(descriptor)
    recorder = connect(next(m for m in incoming if m is not None), lock)
    complete, status = True, "KILLED"
    for message in incoming:
        try:
            if message is None:
                recorder.flush()
                continue
            if message["kind"] == "end":
                status = message["status"]
                break
            recorder.handle(message)
        except Exception as error:  # the server may come back: go on, and say at the end what was lost
            _report(error, log)
            complete = complete and (message is None or message["kind"] == "metrics")  # these are tried again
    recorder.handle({"kind": "end", "status": status})
    return complete


def _git_tags(repository: str) -> dict[str, str]:
    command = ["git", "-C", repository, "rev-parse", "--verify", "-q", "HEAD"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"mlflow.source.git.commit": answer.stdout.strip()} if answer.returncode == 0 else {}


def _recorded(descriptor: int, folder: Path, log: TextIO) -> bool:
    """Record one stage, whose folder lies beside the lock of all runs and is removed if all went well."""
    try:
        stored = record(descriptor, folder.parent / "lock", log)
    except Exception as error:
        _report(error, log)
        return False
    if stored:
        shutil.rmtree(folder, ignore_errors=True)
    return stored


def serve(path: str) -> None:
    """Record every stage that connects, until stdin ends and the last of them is done."""
    recording: list[threading.Thread] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection = listener.accept()[0]
            recording.append(threading.Thread(target=_answer, args=(connection,)))
            recording[-1].start()
    for thread in recording:
        thread.join()


def _answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb", buffering=0) as lines:
        folder = Path(lines.readline().decode().rstrip("\n"))
        with (folder / "log").open("a") as log:
            stored = _recorded(connection.fileno(), folder, log)
        with contextlib.suppress(OSError):  # a stage that was killed does not wait
            connection.sendall(b"1" if stored else b"0")


def main() -> int:
    """Record stdin; the argument is a folder of this run's own. Or `--serve SOCKET`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[1] == "--serve":
        os.chdir(Path(sys.argv[2]).parent)
        serve(sys.argv[2])
        return 0
    folder = Path(sys.argv[1])
    os.chdir(folder)  # MLflow makes folders in the current one
    return 0 if _recorded(sys.stdin.fileno(), folder, sys.stdout) else 1


def _report(error: Exception, log: TextIO) -> None:
    """One line in the log that `difflab.core.tracking` knows by its first word."""
    print(f"ERROR {type(error).__name__}: {' '.join(str(error).split())}", file=log, flush=True)


if __name__ == "__main__":
    sys.exit(main())
