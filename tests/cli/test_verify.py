"""`difflab verify` on a small pipeline with a remote folder: each way in which a clone could not trust its lock."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from difflab.cli.verify import _reason, damaged_objects, verify
from difflab.core.base.errors import DifflabError
from study.shell import run


def dvc(*words):
    run(Path.cwd(), "dvc", *words)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """a -> b, run once, pushed to a remote; then as a clone has it, without outputs and cache."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "study").mkdir()
    with contextlib.chdir(folder / "study"):
        make()
    return folder


@pytest.fixture
def pipeline(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "study")
    return tmp_path


def make():
    stages = {
        "a": {"cmd": "cp seed a", "deps": ["seed"], "outs": ["a"]},
        "b": {"cmd": "cp a b", "deps": ["a"], "outs": ["b"]},
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    Path("seed").write_text("1")
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init")
    dvc("repro")
    dvc("remote", "add", "-d", "store", "../store")
    dvc("push")
    for name in ("a", "b"):
        Path(name).unlink()
    shutil.rmtree(".dvc/cache")


@pytest.mark.usefixtures("pipeline")
def test_a_clone_without_outputs_is_verified_and_fetches_nothing():
    assert [line.split(":")[0] for line in verify()] == ["dvc.lock", "remote 'store'"]
    assert not Path("a").exists()
    assert not Path(".dvc/cache/files").exists()


@pytest.mark.usefixtures("pipeline")
def test_a_changed_source_names_the_stage():
    Path("seed").write_text("2")
    with pytest.raises(DifflabError, match=r"^out of date: a; run `dvc repro`"):
        list(verify())


@pytest.mark.usefixtures("pipeline")
def test_a_stage_whose_inputs_are_not_here_is_named_too():
    text = Path("dvc.yaml").read_text().replace("cp a b", "cat a > b")
    Path("dvc.yaml").write_text(text)
    with pytest.raises(DifflabError, match=r"^out of date: b; "):
        list(verify())


def test_an_output_that_was_not_pushed_is_named(pipeline):
    shutil.rmtree(pipeline / "store")
    with pytest.raises(DifflabError, match=r"^remote 'store' lacks 2 outputs \(a, b\)"):
        list(verify())


@pytest.mark.usefixtures("pipeline")
def test_without_a_remote_it_says_so():
    dvc("remote", "remove", "store")
    assert list(verify())[-1].startswith("remote: none is set")


@pytest.mark.usefixtures("pipeline")
def test_without_a_lock_there_is_nothing_to_verify():
    Path("dvc.lock").unlink()
    with pytest.raises(DifflabError, match=r"dvc\.lock is missing"):
        list(verify())


@pytest.mark.usefixtures("pipeline")
def test_an_empty_pipeline_is_no_success():
    Path("dvc.yaml").write_text("")
    with pytest.raises(DifflabError, match=r"dvc.yaml has no stages"):
        list(verify())


def test_a_damaged_object_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm")
    Path("a").write_text("content")
    Path("b").mkdir()
    Path("b/c").write_text("other content")
    dvc("add", "a", "b")
    assert damaged_objects() == (3, [])  # two files and the list of the folder
    (object,) = Path(".dvc/cache/files/md5").glob("9a/*")  # md5("content") starts with 9a
    object.chmod(0o644)
    object.write_text("changed")
    assert damaged_objects() == (3, [object.resolve()])
    with pytest.raises(DifflabError, match=rf"damaged in the cache: .*{object.name}; delete them"):
        list(verify(objects=True))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[Errno 30] Read-only file system: '/a/lock'", "/a/lock is on a disk that is mounted read-only: name another"),
        ("[Errno 28] No space left on device", "the disk is full: free some space"),
    ],
)
def test_a_disk_that_dvc_cannot_write_to_is_named(said, told):
    done = subprocess.CompletedProcess([], 255, "", f"ERROR: unexpected error - {said}\n\nHaving any troubles?\n")
    assert _reason(done).startswith(told)
