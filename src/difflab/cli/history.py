"""MLflow runs of stages that ran elsewhere: rebuilt from dvc.lock, metrics and plots of a commit."""

import copy
import csv
import io
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import Declared, check_params
from difflab.core.recorder import MlflowRun
from difflab.core.tracking import CURVE, repository_root, start_record


@dataclass
class StageResult:
    """What a commit holds of one stage.

    Attributes:
        curve: rows of its CSV plot that have a step.
        pictures: content of its PNG plots by path.
    """

    address: str
    command: str
    params: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)


def import_runs(rev: str = "HEAD") -> tuple[int, int]:
    """Record every stage of a commit's dvc.lock that MLflow does not have yet.

    A stage is there already if a finished run of it has the same parameters and metrics.

    Returns:
        How many runs were made, and how many were there.

    Raises:
        DifflabError: there is no such commit, or it holds no dvc.lock.
    """
    commit = _git("rev-parse", "--verify", "-q", f"{rev}^{{commit}}").decode().strip()
    if not commit:
        raise DifflabError(f"there is no commit '{rev}'; `git log --all` lists them")
    folder = repository_root() / ".scratch" / "tracking"
    folder.mkdir(parents=True, exist_ok=True)
    tags = {"mlflow.source.git.commit": commit, "difflab.imported": "true"}
    made = there = 0
    for result in results(commit):
        start = start_record(result.address, result.command, result.params, tags)
        recorder = MlflowRun(start, folder / "store")
        if recorder.is_stored(result.metrics):
            there += 1
            continue
        for message in _messages(result, _commit_time(commit)):
            recorder.handle(message)
        made += 1
    return made, there


def results(commit: str) -> Iterator[StageResult]:
    """The stages of a commit, in the order of dvc.lock, with what Git holds of them."""
    lock = _show(commit, "dvc.lock")
    if lock is None:
        raise DifflabError(f"commit {commit[:7]} has no dvc.lock: nothing was run there")
    from dvc.utils.serialize import loads_yaml  # YAML 1.2, as the stages read params.yaml: 1e-08 is a number

    study = loads_yaml(_show(commit, "params.yaml") or b"{}")
    for address, entry in loads_yaml(lock)["stages"].items():
        params = {k: v for values in entry.get("params", {}).values() for k, v in values.items()}
        result = StageResult(address, entry.get("cmd", ""), _as_recorded(params, study))
        for out in entry.get("outs", []):
            _take(result, commit, out["path"])
        yield result


def _as_recorded(declared: dict[str, Any], study: dict[str, Any]) -> dict[str, Any]:
    """The parameters that dvc.lock holds as a running stage records them: each group with its share of `common`.

    Those of an older commit, which the models no longer know, stay as they are.
    """
    values = copy.deepcopy(study)
    for name, value in declared.items():
        *groups, last = name.split(".")
        place = values
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    try:
        return Declared(check_params(values, "dvc.lock"), "", tuple(declared)).as_dict()
    except DifflabError:
        return declared


def _take(result: StageResult, commit: str, path: str) -> None:
    """Add an output that Git holds: metrics, a curve or a picture."""
    if not path.startswith(("metrics/", "plots/")):
        return
    if path.endswith(".json") and (text := _show(commit, path)):
        result.metrics |= {k: float(v) for k, v in json.loads(text).items() if isinstance(v, int | float)}
    elif path.endswith(".csv") and (text := _show(commit, path)):
        for row in csv.DictReader(io.StringIO(text.decode())):
            if "step" in row:
                values = {CURVE + k: float(v) for k, v in row.items() if k != "step" and _is_number(v)}
                result.curve.append((int(float(row["step"])), values))
    elif path.endswith(".png") and (content := _show(commit, path)):
        result.pictures[path] = content


def _messages(result: StageResult, milliseconds: int) -> Iterator[dict[str, Any]]:
    """The records that the stage would have sent."""
    for step, values in result.curve:
        yield {"kind": "metrics", "values": values, "step": step, "time": milliseconds}
    if result.metrics:
        yield {"kind": "metrics", "values": result.metrics, "step": 0, "time": milliseconds}
    with tempfile.TemporaryDirectory() as folder:
        for path, content in result.pictures.items():
            copy = Path(folder) / Path(path).name
            copy.write_bytes(content)
            yield {"kind": "artifact", "path": str(copy), "parent": str(Path(path).parent)}
        yield {"kind": "end", "status": "FINISHED"}


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _commit_time(commit: str) -> int:
    return int(_git("show", "-s", "--format=%ct", commit)) * 1000


def _show(commit: str, path: str) -> bytes | None:
    """A file of a commit, or None where it has no such file."""
    return _git("show", f"{commit}:{path}") or None


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], capture_output=True, check=False).stdout
