import fcntl
import json
import shutil
from types import SimpleNamespace

import pytest

from difflab.app.personalise import process
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, write_json


@pytest.fixture
def job(five, monkeypatch):
    """A job whose workspace is made in no time."""

    def build(workspace, session, values):
        workspace.mkdir()
        write_json(workspace / "params.yaml", values)

    monkeypatch.setattr(process, "build", build)
    write_json(five.job / process.VALUES, {"seed": 0})
    return five.job


@pytest.fixture
def dvc(monkeypatch):
    """What stands in for DVC in a workspace: `dvc("line", ..., status=1)`."""

    def standing_in(*lines, status=0):
        def build(workspace, session, values):
            (workspace / "dvc").mkdir(parents=True)
            (workspace / "dvc/__init__.py").touch()
            body = "".join(f"print({line!r})\n" for line in lines)
            (workspace / "dvc/__main__.py").write_text(f"import sys\n{body}sys.exit({status})\n")

        monkeypatch.setattr(process, "build", build)

    return standing_in


def ended(job):
    process.run(job)
    return read_json(job / process.OUTCOME)["reason"]


def test_a_job_that_works_ends_without_a_reason_and_logs_what_dvc_says(job, dvc, capsys):
    dvc("personal lora_none-4-subject-0: step 1/60")
    assert ended(job) == ""
    said = [json.loads(line)[1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["waiting", "preparing", "running", "personal lora_none-4-subject-0: step 1/60"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["ERROR personal: the disk is full (x): free some space, then run again", "ERROR: failed to reproduce"],
            "the disk is full (x): free some space, then run again",
        ),
        (["ERROR: failed to lock"], "failed to lock"),
        (["nothing of use"], "the training ended without a word"),
    ],
)
def test_a_job_that_fails_says_why_in_one_line(job, dvc, lines, reason):
    dvc(*lines, status=1)
    assert ended(job) == reason


def test_a_missing_model_is_the_reason(job, monkeypatch):
    def build(workspace, session, values):
        workspace.mkdir()
        raise DifflabError("models/zoo/diffusion is missing: run `difflab repro personal` once")

    monkeypatch.setattr(process, "build", build)
    assert ended(job).startswith("models/zoo/diffusion is missing")
    assert not (job / process.WORKSPACE).exists()


def test_a_nearly_full_disk_is_refused_before_anything_is_written(job, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 * 10**6))
    assert ended(job) == "the disk has 10 MB free, a training needs 524: free some"
    assert not (job / process.WORKSPACE).exists()


def test_a_job_that_is_started_again_goes_on_in_its_workspace(job, monkeypatch):
    (job / process.WORKSPACE).mkdir()
    (job / process.WORKSPACE / "state").touch()
    monkeypatch.setattr(process, "experiment", lambda workspace: "" if (workspace / "state").exists() else "new")
    assert ended(job) == ""


def test_one_job_runs_at_a_time(job, monkeypatch):
    def experiment(workspace):
        with (job.parent.parent / process.QUEUE).open("a") as queue, pytest.raises(BlockingIOError):
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return ""

    monkeypatch.setattr(process, "experiment", experiment)
    assert ended(job) == ""
