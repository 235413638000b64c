"""The table of wall times."""

import pytest
import yaml

from difflab.cli.times import expected_seconds, times_table, write_estimates
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_json
from difflab.core.params.loading import read_pipeline


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "dvc.yaml").write_text("stages:\n  prepare: {cmd: x}\n  finetune: {cmd: x}\n  apply: {cmd: x}\n")
    return tmp_path


def note(folder, name, seconds, status="FINISHED"):
    write_json(folder / ".scratch" / "times" / f"{name}.json", {"seconds": seconds, "status": status})


def test_times_stand_in_the_order_of_the_pipeline_with_their_sum(repository):
    for name, seconds in (("apply", 3.0), ("finetune@b", 60.5), ("finetune@a", 50.0), ("prepare", 6.5)):
        note(repository, name, seconds)
    rows = [line.split() for line in times_table(repository).splitlines()[1:]]
    assert [row[0] for row in rows] == ["prepare", "finetune@a", "finetune@b", "apply", "total"]
    assert rows[-1][1:] == ["120.0", "(2.0", "minutes)"]


def test_a_stage_that_did_not_finish_is_marked(repository):
    note(repository, "apply", 3.0, "FAILED")
    assert times_table(repository).splitlines()[1].split() == ["apply", "3.0", "failed"]


def test_stages_that_are_gone_do_not_count(repository):
    note(repository, "prepare", 1.0)
    note(repository, "old", 99.0)
    assert "old" not in times_table(repository)
    assert times_table(repository).splitlines()[-1].split()[1] == "1.0"


def test_no_run_yet_is_one_line(repository):
    with pytest.raises(DifflabError, match="no stage has run on this machine"):
        times_table(repository)


def test_the_last_finished_run_is_expected_else_the_estimate_of_the_stage(repository):
    (repository / "conf").mkdir()
    (repository / "conf" / "seconds.yaml").write_text("prepare: 7\nfinetune: 90\n")
    note(repository, "finetune@a", 50.0)
    note(repository, "finetune@b", 2.0, "FAILED")
    assert expected_seconds(["finetune@a", "finetune@b", "prepare", "apply"], repository) == {
        "finetune@a": 50.0, "finetune@b": 90.0, "prepare": 7.0, "apply": 1.0,
    }  # fmt: skip


def test_estimates_are_written_from_finished_runs_and_others_stay(repository):
    (repository / "conf").mkdir()
    (repository / "conf" / "seconds.yaml").write_text("prepare: 7\nfinetune: 90\ngone: 3\n")
    note(repository, "finetune@a", 50.0)
    note(repository, "finetune@b", 61.0)
    note(repository, "apply", 9.0, "KILLED")
    lines = write_estimates(repository).read_text().splitlines()
    assert lines[1:] == ["prepare: 7", "finetune: 56"]


def test_every_stage_has_an_estimate_and_no_other(root):
    estimates = yaml.safe_load((root / "conf" / "seconds.yaml").read_text())
    assert list(estimates) == list(read_pipeline(str(root / "dvc.yaml"))["stages"])
