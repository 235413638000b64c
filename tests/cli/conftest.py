"""The small pipeline as a repository of its own; the command line as a program."""

import os
import shutil
import subprocess
import sys

import pytest

from fakes import pipeline


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
