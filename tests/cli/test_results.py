"""What a revision holds, read with Git alone; damaged files are one line."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from difflab.cli.compare import compare
from difflab.cli.results import Result, lock_stages, mapping, read
from difflab.core.base.errors import DifflabError

CELL = "sd3_minus_blip2_fid"


def test_scores_of_stages_that_ran_with_other_parameters_are_marked():
    stages = {"a": {"params": {"params.yaml": {"finetune": {"lora": {"rank": 4}}, "seed": 0}}}, "b": {}}
    base = Result("base", {"seed": 0, "finetune.lora.rank": 4}, {CELL: 8.0}, stages)
    wide = replace(base, name="wide", params={"seed": 0, "finetune.lora.rank": 8})
    assert (base.older, wide.older) == ({}, {"finetune.lora.rank": 4})
    assert "wide: not all stages ran with its parameters (some with finetune.lora.rank 4)" in compare([base, wide], {})


@pytest.mark.parametrize("text", [b"- one", b"just text", b"stages: [a]", b"stages: {a: 1}"])
def test_a_lock_that_is_none_is_one_line(text):
    with pytest.raises(DifflabError, match=r"dvc.lock of 'HEAD' is damaged .*`git restore dvc.lock`"):
        lock_stages(text, "dvc.lock of 'HEAD'")


@pytest.mark.parametrize("text", [b"seed: \xff", b"# nothing"])
def test_a_text_that_is_none_names_what_brings_it_back(text):
    with pytest.raises(DifflabError, match=r"params.yaml .*`git restore params.yaml` brings it back"):
        mapping(text, "params.yaml of 'HEAD'")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A DVC repository with one committed result, another in the workspace."""
    monkeypatch.chdir(tmp_path)
    stage = {"cmd": "true", "params": ["seed"], "metrics": [{"metrics/summary.json": {"cache": False}}]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"report": stage}}))
    (tmp_path / "params.yaml").write_text("seed: 0\nrank: 4\n")
    (tmp_path / "metrics").mkdir()
    summary = tmp_path / "metrics" / "summary.json"
    summary.write_text(json.dumps({CELL: 8.0, "sd3_seeds": 1}))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    dvc = [sys.executable, "-m", "dvc", "init", "-q"]
    for command in (["git", "init", "-q"], dvc, [*git, "add", "."], [*git, "commit", "-qm", "result"]):
        subprocess.run(command, check=True, env=None)
    summary.write_text(json.dumps({CELL: 6.0, "sd3_seeds": 1}))


@pytest.mark.usefixtures("repository")
def test_a_commit_and_the_workspace_are_read():
    before, now = read("HEAD"), read("workspace")
    assert (before.summary[CELL], now.summary[CELL]) == (8.0, 6.0)
    assert before.params["seed"] == 0


def test_a_number_without_a_point_is_the_same_in_params_and_lock(repository, tmp_path):
    (tmp_path / "params.yaml").write_text("seed: 0\nrank: 4\nepsilon: 1e-08\n")
    ran = "stages:\n  report:\n    cmd: report\n    params:\n      params.yaml:\n        epsilon: 1e-08\n        rank: 2\n"
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\n{ran}")
    assert read("workspace").older == {"rank": 2}


@pytest.mark.usefixtures("repository")
def test_an_unknown_revision_is_one_line_that_says_where_names_are():
    with pytest.raises(DifflabError, match=r"no revision or experiment 'nope'; `difflab experiments`"):
        read("nope")
    with pytest.raises(DifflabError, match="did you mean 'workspace'"):
        read("workspase")


@pytest.mark.usefixtures("repository")
def test_an_older_commit_with_other_names_of_metrics_says_so(tmp_path):
    before = read("HEAD")
    (tmp_path / "metrics" / "summary.json").write_text(json.dumps({"sd3_fid": 6.0, "sd3_kid": 1.0, "n": 1}))
    page = compare([before, read("workspace")], {})
    assert "the names of the metrics changed between HEAD and workspace: only the 0 that both have" in page


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("text", ["[1]", "{"])
def test_a_damaged_summary_is_one_line(tmp_path, text):
    (tmp_path / "metrics" / "summary.json").write_text(text)
    with pytest.raises(DifflabError, match=r"summary.json of 'workspace' .*`dvc repro -f report`"):
        read("workspace")


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("name", ["params.yaml", "dvc.lock"])
def test_an_empty_file_is_not_taken_for_one_of_other_values(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(DifflabError, match=f"{name} of 'workspace' is empty: `git restore {name}` brings it back"):
        read("workspace")


def test_outside_a_repository_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(DifflabError, match="not a Git repository"):
        read("HEAD")
