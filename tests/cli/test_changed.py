"""What DVC finds out of date, with parameters parsed once."""

from pathlib import Path

import pytest

from difflab.cli import repro
from difflab.cli.changed import _parameters_parsed_once, changed
from difflab.core.base.errors import DifflabError
from fakes.pipeline import change


def test_parameters_are_parsed_once_and_again_when_they_change(study, monkeypatch):
    from dvc.dependency import param

    Path("params.yaml").write_text("a: {b: 1, c: [1, 2]}\nd: x\n")
    change("first", params=["a.b", "d"])
    change("last", cmd="cat left right > last", params=["a.c"])
    change("left", cmd="cp first left", params=["a"])
    change("right", cmd="cp first right", params=["d"])
    repro.repro([], jobs=2)
    parse, parsed = param.load_path, []
    monkeypatch.setattr(param, "load_path", lambda path, fs: parsed.append(path) or parse(path, fs))
    assert changed([]) == {}
    assert len(parsed) == 1
    Path("params.yaml").write_text("a: {b: 1, c: [1, 3]}\nd: x\n")
    assert set(changed([])) == {"left", "last"}
    Path("params.yaml").write_text("a: {b: 1, c: [1, 2]}\n")
    assert set(changed([])) == {"first", "left", "right", "last"}
    with _parameters_parsed_once():
        before = param.read_param_file
        for text, value in (("d: 1", 1), ("d: 22", 22)):
            Path("params.yaml").write_text(text)
            assert before(study_fs(), "params.yaml", ["d"], True) == {"d": value}
    assert param.read_param_file is not before, "DVC is itself again"


def test_a_changed_file_of_parameters_is_checked_and_makes_nothing_else_stale(study, monkeypatch):
    monkeypatch.setattr("difflab.cli.changed.CHECK", "first")
    Path("params.yaml").write_text("a: 1\n")
    change("first", deps=["params.yaml"])
    repro.repro([], jobs=2)
    assert changed([], {"a": 1}) == {}
    assert set(changed([], {"a": 2})) == {"first"}
    Path("params.yaml").write_text("a: 2\n")
    assert changed([]) == {"first": []}


def study_fs():
    from dvc.fs import LocalFileSystem

    return LocalFileSystem()


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"stages: [a]", "is damaged"), (b"\xff", "UTF-8")])
@pytest.mark.usefixtures("study")
def test_a_damaged_lock_names_what_brings_it_back(content, reason):
    Path("dvc.lock").write_bytes(content)
    with pytest.raises(DifflabError, match=rf"^dvc.lock .*{reason}.*`git restore dvc.lock` brings it back"):
        changed([])


@pytest.mark.usefixtures("study")
def test_the_empty_list_of_locks_that_a_full_disk_leaves_is_put_away():
    Path(".dvc/tmp/rwlock").write_text("")
    assert changed([])
