"""A repository whose stages are small programs, and an empty cache of models."""

import pytest

from difflab.cli.compose import compose
from fakes import small_stages


@pytest.fixture(scope="session")
def composed(root):
    return compose(["profile=smoke", "tracking.enabled=false"], root / "conf")


@pytest.fixture
def repo(tmp_path, root, composed):
    return small_stages.make(tmp_path, root, composed)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, offline."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder
