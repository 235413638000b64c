"""The reproduction report: which numbers lie inside, when that is enough, and what to do with the changed files."""

import json
import os
import subprocess
import sys
from math import comb
from pathlib import Path

import pytest
import yaml

from difflab.cli.headlines import Headline
from difflab.cli.reproduced import Number, by_chance, known_spreads, reproduced, verdict, without_repetition
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import Spread

CELLS = [f"sd3_{adapter}_{captions}_fid" for adapter in ("minus", "zero", "plus") for captions in ("blip2", "llama3")]


def numbers(inside, outside, unknown=0):
    halves = [(1.0, 0.5)] * inside + [(1.0, 2.0)] * outside + [(None, 0.0)] * unknown
    ends = [half and (8.0 - half, 8.0 + half) for half, _ in halves]
    values = [8.0 + by for _, by in halves]
    cells = [Headline("sd3", f"cell{i}", "fid") for i in range(len(halves))]
    return [Number(*own, other_ruler=False) for own in zip(cells, [8.0] * len(cells), ends, values, strict=True)]


def test_the_last_line_counts_and_names():
    line, holds = verdict(numbers(58, 2, unknown=3))
    assert line == (
        "Reproduced: 58 of 60 headline numbers lie within the committed prediction intervals; 2 do not: "
        "sd3_cell58_fid, sd3_cell59_fid (3 without an interval)."
    )
    assert holds


@pytest.mark.parametrize(("outside", "holds"), [(7, True), (8, False)])
def test_more_outside_than_chance_explains_is_no_reproduction(outside, holds):
    line, found = verdict(numbers(60 - outside, outside))
    assert (found, line.startswith("Reproduced")) == (holds, holds)


def test_measures_without_a_recorded_repetition_are_told():
    found = [*numbers(2, 0), Number(Headline("attention", "digit_minus", "ari"), 0.6, (0.5, 0.7), 0.6, False)]
    spread = Spread(0.1, 3)
    assert "no repetition of the whole study is recorded" in without_repetition(found, {})
    told = without_repetition(found, {("sd3", "fid"): spread})
    assert told.startswith("Of attention not every measure stands in metrics/repetitions.csv")
    assert without_repetition(found, {("sd3", "fid"): spread, ("attention", "ari"): spread}) == ""


def test_the_chance_is_binomial():
    for outside in (0, 1, 3, 8):
        exact = sum(comb(60, k) * 0.05**k * 0.95 ** (60 - k) for k in range(outside, 61))
        assert by_chance(outside, 60) == pytest.approx(exact)


def test_without_intervals_nothing_is_known():
    assert verdict(numbers(0, 0, unknown=4)) == (verdict([])[0], False)


def run(*command, folder, **environment):
    identity = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | identity | environment
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def dvc(*arguments, folder, **environment):
    from study import shell

    return shell.run(folder, "dvc", *arguments, **environment).stdout


WORK = """
import json, os, pathlib, sys
shift = float(os.environ.get("SHIFT", 0))
if sys.argv[1] == "train":
    print("TRAINED")
    pathlib.Path("models").mkdir(exist_ok=True)
    pathlib.Path("models/weights").write_text(str(shift))
else:
    moved = float(pathlib.Path("models/weights").read_text())
    found = {"sd3_trainings": 2}
    for i, cell in enumerate(CELLS):
        found |= {cell: 8 + i + moved, cell + "_low": 7 + i + moved, cell + "_high": 9 + i + moved}
    pathlib.Path("metrics").mkdir(exist_ok=True)
    pathlib.Path("metrics/summary.json").write_text(json.dumps(found))
"""
PIPELINE = f"""
stages:
  train: {{cmd: "{sys.executable} work.py train", deps: [work.py], params: [seed], outs: [models/weights]}}
  report:
    cmd: "{sys.executable} work.py report"
    deps: [models/weights, work.py]
    metrics: [metrics/summary.json: {{cache: false}}]
"""
CLAIM = f"""# What is claimed.

- statement: One cell is better than another.
  stage: report
  metrics: [{CELLS[0]}]
  below: 10.5
  verdict: holds
  command: dvc repro
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A committed study of two stages."""
    origin = tmp_path_factory.mktemp("origin")
    (origin / "work.py").write_text(f"CELLS = {CELLS}\n{WORK}")
    (origin / "dvc.yaml").write_text(PIPELINE)
    (origin / "params.yaml").write_text("seed: 0\n")
    (origin / "claims.yaml").write_text(CLAIM)
    run("git", "init", "-q", folder=origin)
    dvc("init", "-q", folder=origin)
    dvc("config", "core.autostage", "true", folder=origin)
    dvc("repro", "-q", folder=origin)
    run("git", "add", "-A", folder=origin)
    run("git", "commit", "-qm", "results", folder=origin)
    return origin


@pytest.fixture
def clone(origin, tmp_path, monkeypatch):
    """A clone without a remote for its outputs, in which nothing has run."""
    here = tmp_path / "clone"
    run("git", "clone", "-q", str(origin), str(here), folder=tmp_path)
    monkeypatch.chdir(here)
    return here


def test_a_run_on_another_machine_is_told_to_have_reproduced_and_can_be_kept_or_put_aside(clone):
    dvc("repro", folder=clone, SHIFT="0.5")
    page, holds = reproduced()
    assert holds
    assert page.splitlines()[-1] == "Reproduced: 6 of 6 headline numbers lie within the committed prediction intervals."
    assert "The same bytes as HEAD: 0 of 2 outputs, 0 of 1 files of results in Git." in page
    assert "| sd3_minus_blip2_fid | 8 | 6.586 to 9.414 | 8.5 | inside |" in page

    run("git", "stash", "-q", folder=clone)
    assert run("git", "status", "--short", folder=clone) == ""
    run("git", "stash", "pop", "-q", folder=clone)
    assert "TRAINED" not in dvc("repro", folder=clone)
    run("git", "commit", "-qam", "Results of this machine", folder=clone)
    assert "TRAINED" not in dvc("repro", folder=clone)
    assert reproduced("HEAD~1")[1]
    assert "git commit" not in reproduced()[0], "nothing is left to keep"


def test_a_study_that_moved_too_far_is_not_reproduced(clone):
    dvc("repro", folder=clone, SHIFT="3")
    page, holds = reproduced()
    assert not holds
    assert "Not reproduced: 0 of 6 headline numbers" in page
    assert page.count("| OUTSIDE |") == 6


def test_a_recorded_repetition_widens_the_intervals_of_the_next(clone):
    dvc("repro", folder=clone, SHIFT="3")
    page, _ = reproduced(name="another machine")
    assert "wrote 6 numbers as the repetition 'another machine'" in page
    assert Path("claims.yaml").read_text() == CLAIM.replace("holds\n", "holds\n  repeated: {another machine: open}\n")
    assert not reproduced()[1], "what is not committed yet does not judge itself"
    run("git", "stash", "-q", folder=clone)
    run("git", "add", "metrics/repetitions.csv", "claims.yaml", folder=clone)
    run("git", "commit", "-qm", "repetition", folder=clone)
    run("git", "stash", "pop", "-q", folder=clone)
    assert known_spreads("HEAD").keys() == {("sd3", "fid")}
    assert reproduced()[1]


@pytest.mark.parametrize("name", ["", "a: b", "a, b", "1"])
def test_a_name_that_claims_yaml_cannot_hold_is_refused(clone, name):
    with pytest.raises(DifflabError, match=f"'{name}' cannot name a repetition"):
        reproduced(name=name)


def test_other_parameters_are_another_experiment(clone):
    (clone / "params.yaml").write_text("seed: 1\n")
    with pytest.raises(
        DifflabError, match=r"params.yaml is not that of HEAD \(seed 0 -> 1\): that is another experiment"
    ):
        reproduced()


def test_a_lock_that_was_cut_short_is_no_reproduction(clone):
    lock = yaml.safe_load((clone / "dvc.lock").read_text())
    lock["stages"].popitem()
    (clone / "dvc.lock").write_text(yaml.safe_dump(lock))
    with pytest.raises(DifflabError, match=r"dvc.lock lacks 1 stages of HEAD .*`git restore dvc.lock` brings it back"):
        reproduced()


def test_a_record_that_could_not_be_finished_can_be_made_again(clone, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr("difflab.cli.reproduced.record", full)
        with pytest.raises(OSError, match="No space left"):
            reproduced(name="other")
    reproduced(name="other")
    assert "other" in (clone / "metrics/repetitions.csv").read_text()
    assert "other: " in (clone / "claims.yaml").read_text()


def test_numbers_of_another_ruler_are_left_out(clone):
    summary = clone / "metrics" / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"sd3_ruler": "other"}))
    page, _ = reproduced()
    assert page.count("another ruler") == 6
    assert "Not known: no headline number" in page
