"""How long stages take: measured on this machine when they last ran, else the committed estimates."""

from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_json, write_text
from difflab.core.params.loading import read_pipeline, read_yaml

ESTIMATES = Path("conf/seconds.yaml")
_HEAD = """\
# How long a stage takes, in seconds: the mean of its cells, profile tiny, two cores. Written by `difflab times --write`.
"""


def times_table(root: Path = Path()) -> str:
    """A table of stage, wall time and outcome of the last run on this machine, in the order of dvc.yaml.

    Raises:
        DifflabError: no stage has run here.
    """
    rows = _measured(root)
    width = max(map(len, rows))
    lines = [f"{'stage':<{width}}  {'seconds':>8}"]
    for name, row in rows.items():
        outcome = "" if row["status"] == "FINISHED" else f"  {row['status'].lower()}"
        lines.append(f"{name:<{width}}  {row['seconds']:>8.1f}{outcome}")
    total = sum(row["seconds"] for row in rows.values())
    return "\n".join([*lines, f"{'total':<{width}}  {total:>8.1f}  ({total / 60:.1f} minutes)"])


def expected_seconds(addresses: Iterable[str], root: Path = Path()) -> dict[str, float]:
    """For each stage the time of its last finished run here, else the committed estimate; a second if there is none."""
    estimates = _estimates(root)
    seconds = {}
    for address in addresses:
        file = root / f".scratch/times/{address}.json"
        last = read_run(file) if file.exists() else {}
        finished = last.get("status") == "FINISHED"
        seconds[address] = last["seconds"] if finished else estimates.get(address.partition("@")[0], 1.0)
    return seconds


def last_run(address: str, since: float) -> float | None:
    """Seconds of a stage's last run here if it finished after `since` (seconds since the epoch); None otherwise."""
    file = Path(f".scratch/times/{address}.json")
    last = read_run(file) if file.exists() and file.stat().st_mtime >= since else {}
    return last["seconds"] if last.get("status") == "FINISHED" else None


def write_estimates(root: Path = Path()) -> Path:
    """Write the committed estimates anew from the times of this machine; stages that did not run here keep theirs.

    Raises:
        DifflabError: no stage has run here.
    """
    measured: dict[str, list[float]] = {}
    for address, row in _measured(root).items():
        if row["status"] == "FINISHED":
            measured.setdefault(address.partition("@")[0], []).append(row["seconds"])
    estimates = _estimates(root) | {stage: max(1, round(mean(each))) for stage, each in measured.items()}
    write_text(root / ESTIMATES, _HEAD + "".join(f"{s}: {estimates[s]:g}\n" for s in _stages(root) if s in estimates))
    return root / ESTIMATES


def _measured(root: Path) -> dict[str, dict[str, Any]]:
    """The last run of each stage by its address, in the order of dvc.yaml."""
    order = _stages(root)
    files = [path for path in (root / ".scratch/times").glob("*.json") if path.stem.split("@")[0] in order]
    if not files:
        raise DifflabError("no stage has run on this machine: times appear after `dvc repro`")
    files.sort(key=lambda path: (order.index(path.stem.split("@")[0]), path.stem))
    return {path.stem: read_run(path) for path in files}


def read_run(path: Path) -> dict[str, Any]:
    """What a stage's last run here took, numbers but for its `status`: `seconds`, and memory where it was measured.

    Raises:
        Unreadable: it is damaged.
    """
    with reading(path, "delete it"):
        found = {**read_json(path)}
        status = str(found.pop("status"))
        return {"status": status, "seconds": float(found.pop("seconds")), **{k: float(v) for k, v in found.items()}}


def _estimates(root: Path) -> dict[str, float]:
    if not (root / ESTIMATES).exists():
        return {}
    with reading(root / ESTIMATES, f"`git checkout {ESTIMATES}` brings it back"):
        return {str(stage): float(seconds) for stage, seconds in read_yaml(root / ESTIMATES).items()}


def _stages(root: Path) -> list[str]:
    return list(read_pipeline(str(root / "dvc.yaml"))["stages"])
