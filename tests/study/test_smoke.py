"""The whole pipeline through real DVC: every output, metric and run is there, and a change reaches what it should."""

import json
import math
import re
import sqlite3
from pathlib import Path

from difflab.report.summary import TEXTS
from study.shell import locked, run


def would_run(folder: Path) -> set[str]:
    """The stages that a dry run finds changed themselves (not those that only follow from them)."""
    return set(re.findall(r"Running stage '([^']+)'", run(folder, "dvc", "repro", "--dry").stdout))


class changed:
    """A file with other content, put back afterwards."""

    def __init__(self, path: Path, old: str, new: str) -> None:
        self.path, self.before = path, path.read_text()
        assert old in self.before
        self.after = self.before.replace(old, new, 1)

    def __enter__(self) -> None:
        self.path.write_text(self.after)

    def __exit__(self, *_: object) -> None:
        self.path.write_text(self.before)


def test_every_stage_ran_and_left_its_outputs(finished):
    lock = locked(finished)
    assert len(lock) == len(run(finished, "dvc", "stage", "list", "--name-only").stdout.split())
    for stage in lock.values():
        for out in stage.get("outs", []):
            assert (finished / out["path"]).exists()


def test_metrics_are_flat_and_finite(finished):
    files = sorted((finished / "metrics").rglob("*.json"))
    assert len(files) > 15
    for file in files:
        for key, value in json.loads(file.read_text()).items():
            assert isinstance(value, str if key.endswith(TEXTS) else int | float), f"{file}: {key}"
            assert isinstance(value, str) or math.isfinite(value), f"{file}: {key}"


def test_every_stage_is_a_tracked_run(finished):
    with sqlite3.connect(finished / "mlflow.db") as database:
        rows = database.execute("select value from tags where key = 'dvc.stage'").fetchall()
    stages = run(finished, "dvc", "stage", "list", "--name-only").stdout.split()
    assert {value for (value,) in rows} == set(stages)


def test_a_second_run_does_nothing(finished):
    assert "up to date" in run(finished, "dvc", "repro").stdout


def test_one_logit_mean_reruns_its_own_cells_only(unchanged):
    with changed(unchanged / "params.yaml", "minus: -0.5", "minus: -0.75"):
        assert would_run(unchanged) == {"check_params", "finetune@blip2-minus", "finetune@llama3-minus", "report"}


def test_report_code_retrains_nothing(unchanged):
    with changed(unchanged / "src/difflab/report/figures.py", '"""', '"""Changed. '):
        assert would_run(unchanged) == {"report"}


def test_loss_code_retrains_what_uses_it(unchanged):
    cells = {f"finetune@{c}-{m}" for c in ("blip2", "llama3") for m in ("minus", "zero", "plus")}
    with changed(unchanged / "src/difflab/sd3/training/flow_training.py", '"""', '"""Changed. '):
        assert would_run(unchanged) == cells | {"zoo_transformer", "rank_blocks", "tune_blocks", "attention_maps"}
