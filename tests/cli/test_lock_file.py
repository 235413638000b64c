"""The lock file is, byte for byte, what DVC itself writes."""

import copy
import shutil

import pytest
import yaml
from dvc import dvcfile

from difflab.cli.lock_file import written_quickly
from difflab.core.base.errors import DifflabError

AWKWARD = {
    "cmd": "python -m stages.x " + "--word " * 40,
    "deps": [{"path": "a: b", "hash": "md5", "md5": "0" * 32, "size": 0}],
    "params": {
        "params.yaml": {"text": "a: 'b'\nsecond line\n", "none": None, "small": 1e-05, "empty": {}, "yes": "yes"}
    },
}


def update(path, entries):
    with dvcfile.modify_yaml(path) as data:
        data["stages"].update({name: copy.deepcopy(entry) for name, entry in entries.items()})


@pytest.fixture
def lock(root, tmp_path):
    return shutil.copy(root / "dvc.lock", tmp_path / "dvc.lock")


def test_entries_are_replaced_and_added_as_dvc_does(lock, tmp_path):
    entries = {"score": AWKWARD, "report": AWKWARD, "new@cell": AWKWARD}
    (tmp_path / "dvc").mkdir()
    other = shutil.copy(lock, tmp_path / "dvc" / "dvc.lock")
    update(other, entries)
    with written_quickly():
        update(lock, entries)
    assert lock.read_bytes() == other.read_bytes()


def test_what_did_not_change_is_not_written_anew(lock):
    before = lock.read_bytes()
    with written_quickly():
        update(lock, {})
    assert lock.read_bytes() == before


def test_a_write_that_fails_leaves_the_lock_as_it_was(lock, monkeypatch):
    """On a full disk, for instance."""
    before = lock.read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with written_quickly(), pytest.raises(DifflabError, match="the disk is full while writing"):
        update(lock, {"score": AWKWARD})
    assert lock.read_bytes() == before
    assert [path.name for path in lock.parent.iterdir()] == ["dvc.lock"]


@pytest.mark.parametrize(
    "text", ["", "schema: '2.0'\nstages:\n  'one': {cmd: x}\n", "# mine\nschema: '2.0'\nstages: {}\n"]
)
def test_a_file_that_dvc_has_not_written_is_left_to_it(tmp_path, text):
    lock = tmp_path / "dvc.lock"
    lock.write_text(text)
    with written_quickly(), dvcfile.modify_yaml(lock) as data:
        data.setdefault("stages", {})["two"] = {"cmd": "y"}
    stages = yaml.safe_load(lock.read_text())["stages"]
    assert stages["two"] == {"cmd": "y"}
    assert ("one" in stages) == ("one" in text)
    assert lock.read_text().startswith("# mine") == text.startswith("# mine")
