"""The small pipeline, as a repository of its own."""

import pytest

from fakes import pipeline


@pytest.fixture
def study(tmp_path, monkeypatch):
    """first -> left, right -> last, as a DVC repository without Git."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    pipeline.make()
    return tmp_path
