"""The process that writes stages' MLflow runs: files of JSON lines in, MLflow out. One for each repository.

Started by the first stage that finds none (`difflab.core.tracking`), it serves all that run at the same time or soon
after, because importing MLflow and opening its database takes four seconds of a processor. A file is removed when it
is stored; where that failed, `<name>.failed` beside it says why. A file whose stage is gone without an `end` record is
a run that was killed. A recorder that starts over a file another left sends it again, to the same run.
"""

import contextlib
import fcntl
import functools
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from difflab.core.tracking import is_locked

_LINGER = 15.0  # seconds without a stage before the process ends
_FLUSH_SECONDS, _RETRY_SECONDS = 2.0, 30.0
_MAX_METRICS, _MAX_PARAMS, _MAX_PARAM_LENGTH = 1000, 100, 6000  # of one request to an MLflow server


class MlflowRun:
    """One run: made when the first record needs it, metrics buffered and written in batches.

    The runs of a DVC experiment hang under a run of its name, those of a sweep (`-n NAME --queue` makes NAME-1,
    NAME-2, ...) under one of NAME.

    Args:
        start: what `difflab.core.tracking.start_record` makes.
        lock: a file; creating a database, an experiment or a group is not safe against others who do the same.
    """

    def __init__(self, start: dict[str, Any], lock: Path) -> None:
        self._tags = start["tags"]
        self._params = {k: v[:_MAX_PARAM_LENGTH] for k, v in start["params"].items()}
        self._metrics: list[Any] = []
        self._resumed = ""
        with lock.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self._client, self._experiment = _connect(start)
            if name := self._tags.get("dvc.exp_name"):
                self._tags = self._tags | {"mlflow.parentRunId": self._group(name)}

    def handle(self, message: dict[str, Any]) -> None:
        """Take one record, any kind but `start`."""
        match message["kind"]:
            case "metrics":
                from mlflow.entities import Metric

                at = message["time"], message["step"]
                self._metrics += [Metric(key, value, *at) for key, value in message["values"].items()]
            case "artifact" if Path(message["path"]).exists():  # else the workspace is gone already
                self._client.log_artifact(self.run_id, message["path"], message["parent"])
            case "resume":
                self._resumed = self._find("difflab.state", message["state"], " and attributes.status != 'FINISHED'")
                self._client.set_tag(self.run_id, "difflab.state", message["state"])
                self._client.update_run(self.run_id, status="RUNNING")
            case "end":
                self.flush()
                self._client.set_terminated(self.run_id, message["status"])

    def flush(self) -> None:
        """Write the buffered metrics; those of a failed request stay for the next one."""
        while self._metrics:
            self._client.log_batch(self.run_id, metrics=self._metrics[:_MAX_METRICS])
            del self._metrics[:_MAX_METRICS]

    def is_stored(self, metrics: dict[str, float]) -> bool:
        """Whether a finished run of this stage has the same parameters and, as latest values, these metrics."""
        query = f"tags.`dvc.stage` = '{self._tags['dvc.stage']}' and attributes.status = 'FINISHED'"
        runs = self._client.search_runs([self._experiment], query)
        return any(r.data.params == self._params and metrics.items() <= r.data.metrics.items() for r in runs)

    @functools.cached_property
    def run_id(self) -> str:
        """The run that an earlier stage or recorder left, else a new one."""
        spool = self._tags.get("difflab.spool")
        if left := self._resumed or (spool and self._find("difflab.spool", spool)):
            return left
        from mlflow.entities import Param

        stage, commit = self._tags["dvc.stage"], self._tags.get("mlflow.source.git.commit", "")[:7]
        label = self._tags.get("dvc.exp_name") or commit or "uncommitted"
        tags = {**self._tags, "mlflow.source.name": stage}
        run = self._client.create_run(self._experiment, tags=tags, run_name=f"{stage}:{label}").info.run_id
        params = [Param(key, value) for key, value in self._params.items()]
        for begin in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(run, params=params[begin : begin + _MAX_PARAMS])
        return run

    def _find(self, tag: str, value: str, condition: str = "") -> str:
        found = self._client.search_runs([self._experiment], f"tags.`{tag}` = '{value}'{condition}", max_results=1)
        return found[0].info.run_id if found else ""

    def _group(self, name: str) -> str:
        """The id of the run under which those of an experiment or a sweep hang; made where there is none."""
        if found := self._find("difflab.group", name):
            return found
        tags = {"difflab.group": name, "dvc.exp_name": name}
        if sweep := re.fullmatch(r"(.+)-\d+", name):
            tags["mlflow.parentRunId"] = self._group(sweep[1])
        run = self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id
        self._client.set_terminated(run, "FINISHED")
        return run


def _connect(start: dict[str, Any]) -> tuple[Any, str]:
    """The store's client and the id of the experiment."""
    http = {"HTTP_REQUEST_MAX_RETRIES": "1", "HTTP_REQUEST_BACKOFF_FACTOR": "1", "HTTP_REQUEST_TIMEOUT": "5"}
    for name, value in {**http, "DISABLE_TELEMETRY": "true", "SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}.items():
        os.environ.setdefault(f"MLFLOW_{name}", value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client, name = MlflowClient(start["uri"]), start["experiment"]
    if (experiment := client.get_experiment_by_name(name)) is None:
        local = start["uri"].startswith("sqlite:")  # a server knows where its artifacts go
        try:
            return client, client.create_experiment(name, start["artifacts"] if local else None)
        except MlflowException:  # another machine was quicker
            experiment = client.get_experiment_by_name(name)
            assert experiment is not None
    return client, experiment.experiment_id


class Spool:
    """The file of one stage and how far it is recorded."""

    def __init__(self, path: Path) -> None:
        self._path, self._stream, self._pending = path, path.open("rb"), b""
        self._messages: list[dict[str, Any]] = []
        self._run: MlflowRun | None = None
        self._next = 0.0

    def advance(self) -> bool:
        """Record what has arrived since the last call, at intervals; whether the stage has ended and all is done."""
        alive = is_locked(self._path)  # asked before reading: what a dead stage wrote is then all there
        *lines, self._pending = (self._pending + self._stream.read()).split(b"\n")
        try:
            self._messages += map(json.loads, lines)
        except ValueError as error:  # a disk that was full, or power that failed: it must not keep others from theirs
            self._fail(error)
            self._path.unlink()
            return True
        last = bool(self._messages) and self._messages[-1]["kind"] == "end"
        if not last and not alive:
            self._messages.append({"kind": "end", "status": "KILLED"})
            last = True
        if not last and time.monotonic() < self._next:
            return False
        try:
            self._record()
            self._next = time.monotonic() + _FLUSH_SECONDS
        except Exception as error:  # the server may come back: the rest is tried again, and once more at the end
            self._next = time.monotonic() + _RETRY_SECONDS
            if last:
                self._fail(error)
        if last:
            self._path.unlink()
        return last

    def _fail(self, error: Exception) -> None:
        """Say why the run is not stored, or not all of it."""
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self._path.with_suffix(".failed").write_text(reason[:300])

    def _record(self) -> None:
        if self._run is None:
            start = self._messages[0]
            tags = start["tags"] | {"difflab.spool": self._path.stem}
            self._run = MlflowRun(start | {"tags": tags}, self._path.parent / "store")
            del self._messages[0]
        while self._messages:
            self._run.handle(self._messages[0])
            del self._messages[0]
        self._run.flush()


def serve(folder: Path) -> None:
    """Record every file of the folder until none has been there for `_LINGER` seconds."""
    spools: dict[Path, Spool] = {}
    until = time.monotonic() + _LINGER
    while spools or time.monotonic() < until:
        for path in sorted(folder.glob("*.jsonl")):
            spools[path] = spools.get(path) or Spool(path)
            if spools[path].advance():
                del spools[path]
                until = time.monotonic() + _LINGER
        time.sleep(0.1)


def main() -> None:
    """Serve the folder that the argument names, if no other process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    waiting = True
    with (folder / "recorder").open("ab") as lock, contextlib.suppress(BlockingIOError):
        while waiting:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            serve(folder)
            fcntl.flock(lock, fcntl.LOCK_UN)
            waiting = any(folder.glob("*.jsonl"))  # one that came meanwhile took this process for a living one


if __name__ == "__main__":
    main()
