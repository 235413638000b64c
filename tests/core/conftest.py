"""A repository whose stages are recorded in MLflow."""

import os
import shutil
import signal

import pytest

from core.recording import PIPELINE, client, local, recorder_of
from difflab.core.params import loading


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """An empty repository."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "any")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    loading.read_pipeline.cache_clear()
    yield tmp_path
    loading.read_pipeline.cache_clear()
    for pid in recorder_of(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A fresh database; making one takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    client(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(repo, empty_store):
    """The database of the repository, made before."""
    shutil.copy(empty_store, repo / "mlflow.db")
    return local(repo)
