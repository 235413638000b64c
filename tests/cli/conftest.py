"""The small pipeline as a repository of its own, studies with tiny models, and the command line as a program."""

import os
import shutil
import subprocess
import sys

import pytest

from fakes import adapters, pipeline, tiny_pipelines


@pytest.fixture
def study(tmp_path, monkeypatch):
    """first -> left, right -> last, as a DVC repository without Git."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    pipeline.make()
    return tmp_path


@pytest.fixture
def difflab(root, tmp_path):
    """Run a command in a copy of the repository's configuration."""
    shutil.copytree(root / "conf", tmp_path / "conf")
    shutil.copy(root / "dvc.yaml", tmp_path)

    def difflab(*arguments, script="from difflab.cli.main import main; main()"):
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return difflab


@pytest.fixture(scope="session")
def tiny_study_models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny_study")
    adapters.study_models(folder)
    return folder / "models"


@pytest.fixture
def configured(tmp_path, root, monkeypatch):
    """A folder with the project's configuration and nothing else."""
    for name in ("dvc.yaml", "conf", "params.yaml"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sd3_workspace(configured, tiny_study_models):
    """With the SD3 study's models, tiny."""
    shutil.copytree(tiny_study_models, configured / "models")
    return configured


@pytest.fixture
def sd_workspace(configured):
    """With a tiny Stable Diffusion and an adapter of it."""
    tiny_pipelines.saved("sd", configured / "models/zoo/diffusion")
    adapters.saved(adapters.trained("sd"), configured / "models/personal/cat")
    return configured
