"""Revisions side by side: repetitions pooled, spread and verdict by their closed forms; the table of experiments."""

import json
import math
import statistics
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from difflab.cli.compare import Result, compare, experiments_table, group, older, read, score, verdict
from difflab.core.base.errors import DifflabError

CELL = "sd3_minus_blip2_fid"


def result(name, fid, std=0.5, seed=0, rank=4, seeds=2):
    summary = {CELL: fid, f"{CELL}_std": std, "sd3_seeds": seeds}
    return Result(name, {"seed": 0, "finetune.seed": seed, "finetune.lora.rank": rank}, summary)


def test_results_that_differ_in_seeds_alone_belong_together():
    a, b, c = result("a", 8), result("b", 9, seed=1), result("c", 7, rank=8)
    assert [[r.name for r in members] for members in group([a, c, b])] == [["a", "b"], ["c"]]


def test_the_spread_is_that_of_repetitions():
    found = score([result(str(i), v, seed=i) for i, v in enumerate((8.0, 9.0, 7.5))], CELL)
    assert (found.mean, found.std, found.count) == pytest.approx((49 / 6, math.sqrt(7 / 12), 3))


def test_of_one_run_it_is_that_of_its_generation_seeds():
    """As `sd3.scoring.scores.summarise` writes it: the deviation of a sample, which `difflab results` shows too."""
    pair = (7.9, 8.5)
    found = score([result("a", statistics.fmean(pair), statistics.stdev(pair))], CELL)
    assert (found.mean, found.std, found.count) == (8.2, statistics.stdev(pair), 2)


def test_a_score_that_one_repetition_lacks_is_none():
    assert score([result("a", 8), Result("b", {}, {})], CELL) is None


@pytest.mark.parametrize(("distance", "expected"), [(2.7, "within seeds"), (2.9, "clear")])
def test_a_difference_is_clear_beyond_its_interval(distance, expected):
    """Three and three values have four degrees of freedom: 2.776 standard errors."""
    before = score([result(str(i), v, seed=i) for i, v in enumerate((7.0, 8.0, 9.0))], CELL)
    error = math.sqrt(2) * 1 / math.sqrt(3)  # both groups deviate by 1
    values = [v + distance * error for v in (7.0, 8.0, 9.0)]
    after = score([result(str(i), v, seed=i) for i, v in enumerate(values)], CELL)
    assert verdict(before, after) == expected


def test_what_did_not_change_is_called_the_same():
    assert verdict(score([result("a", 8)], CELL), score([result("b", 8)], CELL)) == "the same"


def test_one_seed_says_nothing():
    one, other = (score([result("a", fid, std=0.0, seeds=1)], CELL) for fid in (8, 9))
    assert verdict(one, other) == "one seed"
    assert verdict(one, one) == "the same"


def test_the_series_and_the_denoisers_are_compared_too():
    def run(name, scale, **summary):
        return Result(name, {"seed": 0, "scale": scale}, {"sd3_seeds": 2, **summary})

    kept = {"denoising_v1_clipped_psnr": 24.4, "denoising_noisy_clipped_psnr": 15.0}
    page = compare([
        run("base", 3, ddpm_text_fid=6.63, ddpm_text_floor_fid=3.6, ddpm_text_accuracy=1.0, **kept),
        run("far", 5, ddpm_text_fid=15.29, ddpm_text_floor_fid=3.6, ddpm_text_accuracy=0.99, **kept),
    ])  # fmt: skip
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    assert "+8.66, one seed" in rows["ddpm_text_fid"]
    assert "-1, one seed" in rows["ddpm_text_accuracy"]
    assert "+0, the same" in rows["denoising_v1_clipped_psnr"]
    assert not [name for name in rows if "floor" in name or "noisy" in name]


def test_the_page_names_what_changed_and_shows_each_difference():
    page = compare([result("base", 8.0), result("wide", 5.0, rank=8), result("wide-2", 5.2, rank=8, seed=1)])
    assert "wide, wide-2: finetune.lora.rank 4 -> 8" in page
    assert "| sd3_minus_blip2_fid | 8 ± 0.5 | 5.1 ± 0.14 | -2.9, within seeds |" in page
    assert "over training seeds where several are given, else over generation seeds" in page


def test_scores_of_stages_that_ran_with_other_parameters_are_marked():
    lock = {"stages": {"a": {"params": {"params.yaml": {"finetune": {"lora": {"rank": 4}}, "seed": 0}}}, "b": {}}}
    wide = result("wide", 5.0, rank=8)
    assert older(wide.params, lock) == {"finetune.lora.rank": 4}
    assert older(result("base", 8.0).params, lock) == {}
    page = compare([result("base", 8.0), replace(wide, older={"finetune.lora.rank": 4})])
    assert "wide: not all stages ran with its parameters (some with finetune.lora.rank 4)" in page


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
    page = compare([before, read("workspace")])
    assert "the names of the metrics changed between HEAD and workspace: only the 0 that both have" in page


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
