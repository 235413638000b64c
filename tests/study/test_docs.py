"""The commands of the documentation, run as they stand there, one block after the other."""

import re
import shlex
import time
from pathlib import Path

import pytest

from study.shell import locked, run


def blocks(page: Path) -> list[str]:
    """The command lines of the fenced `bash` blocks, comments removed."""
    fenced = re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(fenced).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def follow(page: Path, folder: Path) -> dict[str, str]:
    """Run every command of a page; what each printed. A queue is waited for, as a person would."""
    printed = {}
    for command in blocks(page):
        printed[command] = run(folder, *shlex.split(command)).stdout
        if command.startswith("dvc queue start"):
            wait_for_queue(folder)
    return printed


def wait_for_queue(folder: Path, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = run(folder, "dvc", "queue", "status").stdout
        assert "Failed" not in status, status
        if not re.search("Queued|Running|Preparing", status):
            return
        time.sleep(2)
    pytest.fail(f"the queue did not end\n{status}")


def test_experiments(study, root):
    before = locked(study)
    printed = follow(root / "docs" / "experiments.md", study)
    columns = "dvc exp show --drop '.*' --keep 'Experiment|.*summary"
    names = ("dvc exp run -n long", "dvc params diff", "difflab compare", columns, "dvc repro", "dvc exp list")
    of = {name: next(v for k, v in printed.items() if k.startswith(name)) for name in names}
    assert set(re.findall("Running stage '([^']+)'", of["dvc exp run -n long"])) == {
        "check_params",
        "step_curve",
        "report",
    }
    assert "finetune.lora.rank" in of["dvc params diff"]
    assert "long: step_curve.num_images 8 -> 150" in of["difflab compare"]
    assert max(map(len, of[columns].splitlines())) <= 120
    assert "up to date" in of["dvc repro"]
    assert {"long", "low-rank", "rank-1", "rank-2"} <= set(re.findall(r"\[?([\w-]+)\]?$", of["dvc exp list"], re.M))
    assert "low-rank-branch" in run(study, "git", "branch").stdout
    assert (study / "dvc_plots" / "index.html").exists()
    kept = {name for name in before if locked(study)[name].get("outs") == before[name].get("outs")}
    assert {s for s in before if s.startswith(("zoo_", "finetune@", "generate"))} <= kept
