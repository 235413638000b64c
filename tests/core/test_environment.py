"""Versions of libraries: locked, installed, compared."""

import hashlib

import pytest

from difflab.core import environment
from difflab.core.base.errors import DifflabError
from difflab.core.params import load_params


def test_the_versions_in_params_are_those_of_the_lock(root, tmp_path):
    environment.write_locked(root / "requirements.lock", tmp_path / "environment.yaml")
    assert (tmp_path / "environment.yaml").read_text() == (root / environment.CONF).read_text()
    locked = load_params(root / "params.yaml").environment
    assert locked.versions.count(",") + 1 == 10
    text = ", ".join(entry for entry in locked.versions.split(", ") if entry.split(" ")[0] in environment.ARRAYS)
    assert locked.arrays == f"x{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    assert locked.models == f"x{hashlib.sha256(locked.versions.encode()).hexdigest()[:8]}"


def test_only_what_differs_is_named(monkeypatch):
    monkeypatch.setattr(environment, "version", lambda library: "1.0+cpu")
    versions = "numpy 2.0, scipy 1.0, torch 2.0"
    assert environment.mismatches(versions) == ["numpy 1.0 instead of 2.0", "torch 1.0 instead of 2.0"]
    assert environment.mismatches(versions, environment.ARRAYS) == ["numpy 1.0 instead of 2.0"]


def test_the_lock_may_hold_a_version_for_each_python(monkeypatch, tmp_path):
    lock = "".join(f"{library}==1.0 \\\n" for library in environment.LIBRARIES if library != "numpy")
    (tmp_path / "lock").write_text(
        lock + "numpy==2.4 ; python_version < '3.12' \\\nnumpy==2.5 ; python_version > '3' \\\n"
    )
    environment.write_locked(tmp_path / "lock", tmp_path / "conf.yaml")
    assert 'versions: "diffusers 1.0, numpy 2.4 or 2.5, ' in (tmp_path / "conf.yaml").read_text()
    for installed, differing in (("2.4", False), ("2.5", False), ("2.45", True)):
        monkeypatch.setattr(environment, "version", lambda library, installed=installed: installed)
        assert bool(environment.mismatches("numpy 2.4 or 2.5")) == differing


def test_a_library_that_is_missing_is_named():
    found = environment.mismatches("no-such-library 1.0", ["no-such-library"])
    assert found == ["no-such-library is missing instead of 1.0"]


def test_a_lock_without_a_library_is_refused(tmp_path):
    (tmp_path / "requirements.lock").write_text("numpy==2.0 \\\n")
    with pytest.raises(DifflabError, match="has no diffusers: add it"):
        environment.write_locked(tmp_path / "requirements.lock", tmp_path / "environment.yaml")
