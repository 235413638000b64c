"""Files of commits and experiments, read with git, equal what git itself shows."""

import subprocess

import pytest

from difflab.cli.revisions import WORKSPACE, experiments, read_files, resolve
from difflab.core.base.errors import DifflabError


def git(*arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Two commits; an experiment `wide` from the first, as DVC names its refs."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    (tmp_path / "a.json").write_text("{}\n")
    (tmp_path / "ü.txt").write_text("täxt\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    first = git("rev-parse", "HEAD")
    (tmp_path / "a.json").write_text('{"fid": 1}\n')
    git("commit", "-qam", "wide")
    git("update-ref", f"refs/exps/{first[:2]}/{first[2:]}/wide", "HEAD")
    git("update-ref", "refs/exps/celery/stash", "HEAD")
    git("reset", "-q", "--hard", first)
    return first


def test_an_experiment_is_found_by_its_name(repository):
    assert list(experiments()) == ["wide"], "the queue's own refs are no experiments"
    assert git("rev-parse", f"{resolve('wide')}^") == repository == resolve("main")


@pytest.mark.usefixtures("repository")
def test_files_of_a_revision_are_those_that_git_shows(tmp_path):
    assert read_files("wide", ["a.json", "absent", "ü.txt"]) == {"a.json": b'{"fid": 1}\n', "ü.txt": "täxt\n".encode()}
    (tmp_path / "a.json").write_text("now")
    assert read_files(WORKSPACE, ["a.json", "absent"]) == {"a.json": b"now"}


@pytest.mark.usefixtures("repository")
def test_a_file_is_found_from_a_folder_below_the_repository(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b").write_text("deep")
    git("add", "-A")
    git("commit", "-qm", "deep")
    monkeypatch.chdir(tmp_path / "inner")
    assert read_files("HEAD", ["b", "."]) == {"b": b"deep"}, "a folder is no file"


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("wrong", "meant"), [("wied", "'wide'"), ("mian", "'main'"), ("HED", "'HEAD'"), ("work-space", "'workspace'")]
)
def test_a_wrong_name_is_answered_with_a_near_one(wrong, meant):
    with pytest.raises(DifflabError, match=f"did you mean {meant}"):
        resolve(wrong)


def test_outside_a_repository_the_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DifflabError, match="not a Git repository"):
        resolve("HEAD")
