"""What every stage does around its own work, tried on small stages run as programs."""

import re
import shutil

import pytest

from difflab.core.base.files import read_json


def test_a_stage_ends_with_what_it_wrote_and_notes_its_time(repo):
    repo.write("demo", 'stage.write_metrics("metrics/demo.json", {"fid": 1 / 3, "n": 7})\nstage.done("wrote it")')
    code, out, err = repo.run("demo")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("demo: wrote it (")
    assert read_json(repo.folder / "metrics" / "demo.json") == {"fid": 0.333333, "n": 7}
    noted = read_json(repo.folder / ".scratch" / "times" / "demo.json")
    assert noted["status"] == "FINISHED"
    assert noted["host_gb"] > 0
    assert noted["seconds"] > 0


def test_a_cell_gets_its_item_and_its_own_address(repo):
    repo.write("cell", "stage.done(kind + str(stage.item))", "stage: Stage, *, kind: str")
    code, out, _ = repo.run("cell", "--kind", "b")
    assert code == 0
    assert out.startswith("cell@b: b{'kind': 'b'}")
    code, _, err = repo.run("cell")
    assert code == 2
    assert "--kind" in err


def test_a_script_may_serve_another_stage(repo):
    repo.write("demo", "print(stage.params.prepare.min_side, stage.address)")
    code, out, _ = repo.run("demo", "--as", "other")
    assert code == 0
    assert out.split()[1] == "other"


def test_an_undeclared_parameter_is_one_line_without_a_traceback(repo):
    repo.write("demo", "stage.params.prepare.min_side")
    code, _, err = repo.run("demo")
    assert code == 1
    assert err == (
        "ERROR demo: stage demo reads the parameter group 'prepare' but dvc.yaml does not declare it under params\n"
    )


def test_an_unforeseen_error_keeps_its_traceback(repo):
    repo.write("demo", "raise ValueError('surprise')")
    code, _, err = repo.run("demo")
    assert code == 1
    assert "Traceback" in err
    assert "surprise" in err
    assert read_json(repo.folder / ".scratch" / "times" / "demo.json")["status"] == "FAILED"


def test_a_full_disk_is_one_line(repo):
    repo.write("demo", "raise OSError(28, 'No space left on device', 'models/x')")
    code, _, err = repo.run("demo")
    assert code == 1
    assert err == "ERROR demo: the disk is full (models/x): free some space, then run again\n"


def test_a_damaged_note_of_its_time_is_replaced(repo):
    repo.write("demo", "pass")
    note = repo.folder / ".scratch" / "times" / "demo.json"
    note.parent.mkdir(parents=True)
    note.write_text('{"sec')
    assert repo.run("demo")[::2] == (0, "")
    assert read_json(note)["status"] == "FINISHED"


def test_a_time_that_cannot_be_noted_is_one_warning(repo):
    repo.write("demo", "pass")
    (repo.folder / ".scratch").touch()
    code, _, err = repo.run("demo")
    assert code == 0
    assert re.fullmatch(r"WARNING demo: its time is not noted: .*move .* away, then run again\n", err)


@pytest.mark.parametrize("variables", [{"RANK": "x"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"WORLD_SIZE": "-1"}])
def test_a_launch_that_makes_no_sense_is_one_line(repo, variables):
    repo.write("demo", "stage.scratch()")
    repo.environment |= variables
    code, _, err = repo.run("demo")
    assert code == 1
    assert re.fullmatch(r"ERROR demo: (RANK|WORLD_SIZE) is .*: unset .*\n", err)


def test_a_terminal_of_another_encoding_gets_every_line(repo):
    repo.write("demo", 'stage.done("FID −0.5 ± 0.1")')
    repo.environment["PYTHONIOENCODING"] = "latin-1"
    process = repo.start("demo")
    assert process.stdout.buffer.read().startswith(b"demo: FID \\u22120.5 \xb1 0.1 (")
    assert process.wait() == 0
    process.communicate()


def test_a_snapshot_runs_its_own_package(repo, root):
    """A queued experiment is a copy of the repository: its src comes before an installed one."""
    shutil.copytree(root / "src" / "difflab", repo.folder / "src" / "difflab")
    repo.write("demo", "import difflab\nprint(difflab.__file__)")
    repo.environment["PYTHONPATH"] = str(root / "src")
    _, out, _ = repo.run("demo")
    assert out.strip() == str(repo.folder / "src" / "difflab" / "__init__.py")


def test_help_shows_what_the_stage_does(repo):
    repo.write("demo", "pass")
    code, out, _ = repo.run("demo", "--help")
    assert code == 0
    assert "A stage for tests." in out
    assert out.startswith("usage: python -m stages.demo ")
    (repo.folder / "stages" / "study").mkdir()
    repo.write("study/demo", "pass")
    assert repo.run("study.demo", "--help")[1].startswith("usage: python -m stages.study.demo ")


def test_a_warning_is_one_line_that_names_the_stage(repo):
    repo.write("demo", "import warnings\nwarnings.warn('few images')")
    code, _, err = repo.run("demo")
    assert code == 0
    assert "WARNING demo: few images\n" in err
    assert "demo.py" not in err
