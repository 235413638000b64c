"""The rehearsal of the profile paper in its smallest form: every stage of the profile through real DVC to the report."""

import csv
import re

import pytest
import yaml

from difflab.cli.compose import compose
from difflab.core.params.loading import addresses, parse_yaml
from study.shell import locked, run

SMALLEST = ["--images", "8", "--steps", "2", "--size", "64", "--width", "64"]


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_every_stage_of_paper_runs_offline_to_the_report(root, tmp_path):
    command = ["difflab", "rehearse", "-S", "profile=paper", *SMALLEST, "--folder", str(tmp_path / "rehearsal")]
    before = run(root, "git", "status", "--porcelain").stdout
    said = run(root, *command, PYTHONPATH=str(root / "src")).stdout
    first, *_, last = said.splitlines()
    assert str(tmp_path / "rehearsal") in first
    values = parse_yaml(compose(("profile=paper",), root / "conf"), "composed")
    expected = addresses(str(root / "dvc.yaml"), values)
    assert re.fullmatch(rf"rehearsed {len(expected)} stages of profile paper in [\d.]+ min: all ran", last)
    with (tmp_path / "rehearsal/stages.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["stage"] for row in rows] == expected
    assert {row["outcome"] for row in rows} == {"ran"}
    assert all(float(row["seconds"]) > 0 and float(row["host_gb"]) > 0 for row in rows)
    copy = tmp_path / "rehearsal/repository"
    assert locked(copy).keys() == set(expected)
    assert (copy / "reports/index.html").exists()
    assert yaml.safe_load((copy / "params.yaml").read_text())["profile"] == "paper"
    assert run(root, "git", "status", "--porcelain").stdout == before
    assert "Everything is up to date" in run(root, *command, PYTHONPATH=str(root / "src")).stdout
