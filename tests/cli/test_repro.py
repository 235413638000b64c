"""Several stages at once: the same result as `dvc repro`, order kept, a failure stops its dependants only."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from difflab.cli import repro
from difflab.cli.changed import changed
from difflab.cli.progress import remaining_seconds
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from fakes.pipeline import change, dvc


def test_independent_stages_run_side_by_side_and_in_order(study):
    assert repro.repro([], jobs=2) == dict.fromkeys(["first", "left", "right", "last"], repro.DONE)
    assert Path("last").read_text() == "1left1right"
    assert repro.repro([], jobs=2) == {}


def test_the_lock_file_is_that_of_a_serial_run(study):
    repro.repro([], jobs=2)
    parallel = yaml.safe_load(Path("dvc.lock").read_text())
    Path("dvc.lock").unlink()
    dvc("repro", "--force")  # each side finds the other's mark
    assert yaml.safe_load(Path("dvc.lock").read_text()) == parallel


def test_only_what_changed_and_what_depends_on_it_runs(study):
    repro.repro([], jobs=2)
    digest = sha256_file("left")
    change("right", cmd=f"{sys.executable} meet.py right left #")
    assert set(changed([])) == {"right", "last"}
    assert changed([])["last"] == ["right"]
    assert set(repro.repro([], jobs=2)) == {"right", "last"}
    assert sha256_file("left") == digest


def test_a_target_brings_its_dependencies_along(study):
    assert set(changed(["left"])) == {"first", "left"}
    assert changed(["left"])["left"] == ["first"]


def test_a_failure_stops_its_dependants_and_nothing_else(study, capfd):
    change("left", cmd="sh -c 'echo the left one broke >&2; exit 3'")
    change("right", cmd="cp first right")
    outcomes = repro.repro([], jobs=2)
    assert outcomes == {
        "first": repro.DONE, "left": repro.FAILED, "right": repro.DONE, "last": repro.SKIPPED,
    }  # fmt: skip
    assert Path("right").exists()
    assert "the left one broke" in capfd.readouterr().out
    assert repro.summary(outcomes, 90.0) == ("Stages: 2 done, 1 failed (left), 1 skipped (last), in 1.5 minutes.")


def test_each_stage_at_a_time_has_its_own_gpu(study, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    for side in ("left", "right"):
        change(side, cmd=f"sleep 1; sh -c 'printf \"$CUDA_VISIBLE_DEVICES\" > {side}'")
    change("last", cmd="cat left right > last")
    repro.repro([], jobs=2)
    assert sorted(Path("last").read_text()) == ["4", "6"]


def test_of_several_ready_stages_the_one_with_the_longest_way_to_the_end_goes_first(study):
    change("left", cmd="date +%s%N > left")
    change("right", cmd="date +%s%N > right")
    estimate(first=1, left=5, right=50, last=7)
    seconds = {"first": 1, "left": 5, "right": 50, "last": 7}
    assert remaining_seconds(changed([]), seconds) == {"first": 58, "left": 12, "right": 57, "last": 7}
    repro.repro([], jobs=1)
    assert int(Path("right").read_text()) < int(Path("left").read_text())


def estimate(**seconds):
    Path("conf").mkdir()
    Path("conf/seconds.yaml").write_text(yaml.safe_dump(seconds))


def test_progress_counts_stages_and_names_the_time_that_is_left(study, capfd):
    change("left", cmd="cp first left")
    change("right", cmd="cp first right")
    estimate(first=60, left=300, right=240, last=60)
    repro.repro([], jobs=2)
    lines = [line for line in capfd.readouterr().out.splitlines() if " stages" in line]
    assert lines[0] == "4 stages to run, 2 at once, about 7 minutes left"
    assert lines[1] == "1 of 4 stages: first done, about 6 minutes left"
    assert {line.split(":")[0] for line in lines[2:]} == {f"{n} of 4 stages" for n in (2, 3, 4)}
    assert lines[-1] == "4 of 4 stages: last done, about 0 seconds left"


def test_an_unknown_target_is_named(study):
    with pytest.raises(DifflabError, match="nosuch"):
        repro.repro(["nosuch"], jobs=2)


@pytest.mark.parametrize(("processors", "threads", "jobs"), [(9, 2, 4), (4, 1, 4), (2, 16, 1)])
def test_jobs_follow_the_processors_and_the_threads_of_a_stage(monkeypatch, processors, threads, jobs):
    params = SimpleNamespace(runtime=SimpleNamespace(num_threads=threads))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(repro, "load_params", lambda: params)
    monkeypatch.setattr(repro.os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert repro.default_jobs() == jobs


def test_jobs_follow_the_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert repro.default_jobs() == 3


def test_nothing_to_do_is_said(study):
    assert repro.summary({}, 1.0) == "Everything is up to date."


def test_the_last_line_is_the_report_if_all_went_well(study):
    Path("reports").mkdir()
    Path("reports/index.html").touch()
    assert repro.summary({"first": repro.DONE}, 60).endswith("1 done, in 1.0 minutes.\nThe report: reports/index.html")
    assert repro.summary({}, 1.0) == "Everything is up to date.\nThe report: reports/index.html"
    assert "report" not in repro.summary({"first": repro.FAILED}, 60)
