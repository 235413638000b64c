"""The data root: the environment wins, and where there is none the error says what to set."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import data_root


def test_the_environment_wins_over_the_parameter(tmp_path, monkeypatch):
    (tmp_path / "env").mkdir()
    (tmp_path / "param").mkdir()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("DIFFLAB_DATA", raising=False)
    assert data_root("param") == tmp_path / "param"
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path / "env"))
    assert data_root("param") == tmp_path / "env"
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path / "none"))
    with pytest.raises(DifflabError, match=r"DIFFLAB_DATA is .* not a folder"):
        data_root("param")


def test_without_any_root_the_error_says_what_to_set(monkeypatch):
    monkeypatch.delenv("DIFFLAB_DATA", raising=False)
    with pytest.raises(DifflabError, match=r"set data\.data_root"):
        data_root(None)
