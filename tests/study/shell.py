"""Commands as a user types them, in a repository of their own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from difflab.core.params.loading import read_yaml
from study import programs


def environment(**more: str) -> dict[str, str]:
    """That of a user whose shell has the project's programs on its path, and no set-up of the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "2"}
    for name in ("PYTHONPATH", "MLFLOW_TRACKING_URI"):
        result.pop(name, None)
    return result | more


def run(folder: Path, *command: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure shows the ends of what it printed."""
    env = environment(**variables)
    with tempfile.TemporaryDirectory() as temporary:  # files: a pipe is waited for until all that inherit it have ended
        out, err = Path(temporary, "out"), Path(temporary, "err")
        if command[0] in ("dvc", "difflab") and command[1:3] != ("queue", "start"):  # whose worker outlives the command
            code = programs.finished(command, folder, env, out, err)
        else:
            with out.open("w") as stdout, err.open("w") as stderr:
                code = subprocess.run(
                    command, cwd=folder, env=env, stdout=stdout, stderr=stderr, check=False
                ).returncode
        done = subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def start(folder: Path) -> None:
    """A Git repository of what lies there."""
    run(folder, "git", "init", "-q", "-b", "main")
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        run(folder, "git", "config", key, value)
    commit(folder, "start")


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)


def locked(folder: Path) -> dict[str, dict]:
    """The stages of dvc.lock."""
    return read_yaml(folder / "dvc.lock")["stages"]


def output_hashes(folder: Path, stage: str) -> dict[str, str]:
    return {out["path"]: out["md5"] for out in locked(folder)[stage]["outs"]}
