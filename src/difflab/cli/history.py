"""MLflow runs of stages that ran elsewhere: rebuilt from dvc.lock, metrics and plots of a commit."""

import copy
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from difflab.cli.results import lock_stages, mapping
from difflab.cli.revisions import git, read_files, resolve
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import parse_json, read_csv
from difflab.core.params.loading import FILE, Declared, check_params
from difflab.core.recorder import MlflowRun
from difflab.core.tracking import CURVE, repository_root, start_record


@dataclass
class StageResult:
    """What a commit holds of one stage: also the rows of its CSV plot by step, and its PNG plots by path."""

    address: str
    command: str
    params: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)


def import_runs(rev: str = "HEAD") -> tuple[int, int]:
    """Record every stage of a commit's dvc.lock that MLflow does not have yet; return how many that were, and the rest.

    A stage is there already if a finished run of it has the same parameters and metrics.

    Raises:
        DifflabError: there is no such commit, or it holds no dvc.lock.
    """
    commit = resolve(rev)
    folder = repository_root() / ".scratch" / "tracking"
    folder.mkdir(parents=True, exist_ok=True)
    tags = {"mlflow.source.git.commit": commit, "difflab.imported": "true"}
    milliseconds = int(git("show", "-s", "--format=%ct", commit)) * 1000
    made = there = 0
    for result in results(commit):
        start = start_record(result.address, result.command, result.params, tags)
        try:
            new = _import(result, start, folder / "store", milliseconds)
        except Exception as error:
            if not (told := _of_mlflow(error)):
                raise
            raise DifflabError(f"MLflow at {start['uri']} did not take the runs ({told[0]}): {told[1]}") from None
        made, there = made + new, there + (not new)
    return made, there


def _of_mlflow(error: Exception) -> tuple[str, str] | None:
    """What MLflow's store says in one line, and the remedy; None for any other error."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    reason = " ".join(str(error).split()).partition(" failed with exception")[0][:200]
    if "MlflowException" in kinds:
        return reason, "start its server, or unset MLFLOW_TRACKING_URI"
    if "SQLAlchemyError" in kinds:
        return reason.partition(" [SQL")[0], "move its database away, and import into a new one"
    return None


def _import(result: StageResult, start: dict[str, Any], lock: Path, milliseconds: int) -> bool:
    """Record one stage; False where a finished run of it has the same parameters and metrics already."""
    recorder = MlflowRun(start, lock)
    if recorder.is_stored(result.metrics):
        return False
    for message in _messages(result, milliseconds):
        recorder.handle(message)
    return True


def results(commit: str) -> Iterator[StageResult]:
    """The stages of a commit, in the order of dvc.lock, with what Git holds of them."""
    texts = read_files(commit, ["dvc.lock", "params.yaml"])
    if "dvc.lock" not in texts:
        raise DifflabError(f"commit {commit[:7]} has no dvc.lock: nothing was run there")
    stages = lock_stages(texts["dvc.lock"], f"dvc.lock of {commit[:7]}")
    study = mapping(texts.get("params.yaml", b""), f"params.yaml of {commit[:7]}")
    outputs = {address: [out["path"] for out in entry.get("outs", [])] for address, entry in stages.items()}
    paths = [path for own in outputs.values() for path in own if path.startswith(("metrics/", "plots/"))]
    files = read_files(commit, paths)
    for address, entry in stages.items():
        params = {k: v for values in entry.get("params", {}).values() for k, v in values.items()}
        if any(dep["path"] == FILE for dep in entry.get("deps", [])):  # it reads the whole file
            params = study | params
        result = StageResult(address, entry.get("cmd", ""), _as_recorded(params, study))
        for path in (path for path in outputs[address] if path in files):
            _take(result, path, files[path])
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


def _take(result: StageResult, path: str, content: bytes) -> None:
    """Add an output: metrics, a curve or a picture."""
    if path.endswith(".json"):
        with reading(path):
            result.metrics |= {k: float(v) for k, v in parse_json(content).items() if isinstance(v, int | float)}
    elif path.endswith(".png"):
        result.pictures[path] = content
    elif path.endswith(".csv") and "step" in (table := read_csv(io.BytesIO(content), path).select_dtypes("number")):
        for row in table.to_dict("records"):
            step, prefix = int(row.pop("step")), CURVE
            if "seed" in row:  # several trainings in one table, each with curves of its own
                prefix += f"seed-{int(row.pop('seed'))}/"
            result.curve.append((step, {f"{prefix}{k}": float(v) for k, v in row.items() if pd.notna(v)}))


def _messages(result: StageResult, milliseconds: int) -> Iterator[dict[str, Any]]:
    """The records that the stage would have sent."""
    for step, values in [*result.curve, *([(0, result.metrics)] if result.metrics else [])]:
        yield {"kind": "metrics", "values": values, "step": step, "time": milliseconds}
    with tempfile.TemporaryDirectory() as folder:
        for path, content in result.pictures.items():
            copy = Path(folder) / Path(path).name
            copy.write_bytes(content)
            yield {"kind": "artifact", "path": str(copy), "parent": str(Path(path).parent)}
        yield {"kind": "end", "status": "FINISHED"}
