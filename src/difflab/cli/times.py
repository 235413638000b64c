"""How long each stage took when it last ran."""

from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.params.loading import read_pipeline


def times_table(root: Path = Path(".")) -> str:
    """A table of stage, wall time and outcome of the last run on this machine, in the order of dvc.yaml.

    Raises:
        DifflabError: no stage has run here.
    """
    order = list(read_pipeline(str(root / "dvc.yaml"))["stages"])
    files = [p for p in (root / ".scratch" / "times").glob("*.json") if p.stem.split("@")[0] in order]
    if not files:
        raise DifflabError("no stage has run on this machine: times appear after `dvc repro`")
    files.sort(key=lambda path: (order.index(path.stem.split("@")[0]), path.stem))
    rows = {path.stem: read_json(path) for path in files}
    width = max(map(len, rows))
    lines = [f"{'stage':<{width}}  {'seconds':>8}"]
    for name, row in rows.items():
        outcome = "" if row["status"] == "FINISHED" else f"  {row['status'].lower()}"
        lines.append(f"{name:<{width}}  {row['seconds']:>8.1f}{outcome}")
    total = sum(row["seconds"] for row in rows.values())
    return "\n".join([*lines, f"{'total':<{width}}  {total:>8.1f}  ({total / 60:.1f} minutes)"])
