"""The whole pipeline through real DVC in its smallest size, in a clone of its own."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from difflab.app.compose import compose

pytestmark = [pytest.mark.smoke, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def clone(root, tmp_path_factory) -> Path:
    """The working tree's files in a new repository with the smoke profile, run two stages at once."""
    folder = tmp_path_factory.mktemp("smoke") / "study"
    listed = run(root, "git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in listed:
        if name.startswith(("src/", "stages/", "conf/", ".dvc")) or name in {"dvc.yaml", ".gitignore"}:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    (folder / "params.yaml").write_text(compose(["profile=smoke"], root / "conf"))
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    run(folder, "difflab", "repro", "--jobs", "2")
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "2"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def would_run(folder: Path) -> set[str]:
    """The stages that a dry run finds changed themselves (not those that only follow from them)."""
    return set(re.findall(r"Running stage '([^']+)'", run(folder, "dvc", "repro", "--dry").stdout))


class changed:
    """A file of the clone with other content, put back afterwards."""

    def __init__(self, path: Path, old: str, new: str) -> None:
        self.path, self.before = path, path.read_text()
        assert old in self.before
        self.after = self.before.replace(old, new, 1)

    def __enter__(self) -> None:
        self.path.write_text(self.after)

    def __exit__(self, *_: object) -> None:
        self.path.write_text(self.before)


def test_every_stage_ran_and_left_its_outputs(clone):
    lock = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]
    assert len(lock) == len(run(clone, "dvc", "stage", "list", "--name-only").stdout.split())
    for stage in lock.values():
        for out in stage.get("outs", []):
            assert (clone / out["path"]).exists()


def test_metrics_are_flat_and_finite(clone):
    files = sorted((clone / "metrics").rglob("*.json"))
    assert len(files) > 15
    for file in files:
        for key, value in json.loads(file.read_text()).items():
            assert isinstance(value, int | float), f"{file}: {key}"
            assert math.isfinite(value), f"{file}: {key}"


def test_every_stage_is_a_tracked_run(clone):
    import sqlite3

    with sqlite3.connect(clone / "mlflow.db") as database:
        rows = database.execute("select value from tags where key = 'dvc.stage'").fetchall()
    stages = run(clone, "dvc", "stage", "list", "--name-only").stdout.split()
    assert {value for (value,) in rows} == set(stages)


def test_a_second_run_does_nothing(clone):
    assert "up to date" in run(clone, "dvc", "repro").stdout


def test_one_logit_mean_reruns_its_own_cells_only(clone):
    with changed(clone / "params.yaml", "minus: -0.5", "minus: -0.75"):
        assert would_run(clone) == {"finetune@blip2-minus", "finetune@llama3-minus", "report"}


def test_report_code_retrains_nothing(clone):
    with changed(clone / "src/difflab/evaluation/style.py", '"""', '"""Changed. '):
        assert would_run(clone) == {"report"}


def test_loss_code_retrains_what_uses_it(clone):
    cells = {f"finetune@{c}-{m}" for c in ("blip2", "llama3") for m in ("minus", "zero", "plus")}
    with changed(clone / "src/difflab/diffusion/flow.py", '"""', '"""Changed. '):
        assert would_run(clone) == cells | {"zoo_transformer"}
