"""The table of experiments: what each changed, and what moved."""

import json
import subprocess

import pytest

from difflab.cli.experiments import experiments_table

CELL = "sd3_minus_blip2_fid"


def git(*arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(folder, rank, fid):
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(f"seed: 0\nfinetune:\n  lora: {{rank: {rank}}}\n")
    (folder / "metrics" / "summary.json").write_text(json.dumps({CELL: fid, "sd3_seeds": 2}))


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    write(tmp_path, 4, 8.0)
    git("add", "-A")
    git("commit", "-qm", "base")
    base = git("rev-parse", "HEAD")
    write(tmp_path, 8, 6.5)
    git("commit", "-qam", "experiment")
    git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/wide", "HEAD")
    git("reset", "-q", "--hard", base)
    return base


def test_a_row_says_what_was_changed_and_what_moved(experiment):
    row = experiments_table(all_commits=False).splitlines()[-1]
    assert row == f"| wide | {experiment[:7]} | finetune.lora.rank=8 | {CELL} 8 -> 6.5 |"


@pytest.mark.usefixtures("experiment")
def test_experiments_of_another_commit_are_listed_on_demand(tmp_path):
    write(tmp_path, 2, 9.0)
    git("commit", "-qam", "later")
    assert experiments_table(all_commits=False).startswith("no experiments of this commit (`--all` lists")
    assert "| wide |" in experiments_table(all_commits=True)


@pytest.mark.usefixtures("experiment")
def test_an_experiment_without_results_is_listed_with_the_reason(tmp_path):
    git("rm", "-q", "metrics/summary.json")
    git("commit", "-qm", "x")
    commit = git("rev-parse", "HEAD~1")
    git("update-ref", f"refs/exps/{commit[:2]}/{commit[2:]}/empty", "HEAD")
    assert "no results ('empty' has no metrics/summary.json" in experiments_table(all_commits=True)
