"""The workspace of a job: a repository of one stage, `personal`, with a snapshot of the code and a DVC cache of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import link_or_copy, write_text
from difflab.core.params.loading import read_yaml
from difflab.images.archives.opening import write_source

STAGE = "personal"
EXPERIMENT = "personalised"
_PICTURES = "data/raw/subjects"
_CONFIG = "[core]\n    analytics = false\n    autostage = true\n[cache]\n    dir = cache\n"
_FOREIGN = ("DVC_ROOT", "DVC_STAGE", "DIFFLAB_DATA", "MLFLOW_TRACKING_URI", "PYTHONPATH", "GIT_DIR", "GIT_WORK_TREE")


def build(workspace: Path, session: Path, values: dict[str, Any], repository: Path = Path()) -> None:
    """Make the workspace: what the stage needs of this repository in a first commit, the job's parameters beside it.

    Args:
        workspace: a folder that is not there yet.
        session: the folder of the visitor, whose `pictures` are read where they lie.
        values: of the job's params.yaml.

    Raises:
        DifflabError: a model has not been trained or fetched, or Git fails.
    """
    import yaml

    stage = read_yaml(repository / "dvc.yaml")["stages"][STAGE]
    for name in ("src", "stages"):
        shutil.copytree(repository / name, workspace / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in (dep for dep in stage["deps"] if dep.startswith("models/")):
        if not (repository / name).is_dir():
            raise DifflabError(f"{name} is missing: run `difflab repro {STAGE}` once, or `dvc pull {name}`")
        shutil.copytree(repository / name, workspace / name, copy_function=link_or_copy)
    (workspace / _PICTURES).mkdir(parents=True)
    write_source(workspace / _PICTURES, "data_root", "pictures", session / "pictures")
    write_text(workspace / "dvc.yaml", yaml.safe_dump({"stages": {STAGE: stage}}, sort_keys=False))
    write_text(workspace / ".dvc/config", _CONFIG)
    write_text(workspace / ".dvc/.gitignore", "/tmp\n/cache\n")
    write_text(workspace / ".gitignore", "__pycache__/\n.scratch/\n/models/zoo\n/data/raw\n")
    shutil.copy(repository / "params.yaml", workspace / "params.yaml")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "--no-verify", "-m", "The study's parameters")):
        _git(workspace, *arguments)
    write_text(workspace / "params.yaml", yaml.safe_dump(values, sort_keys=False))


def environment(workspace: Path) -> dict[str, str]:
    """Of the programs that run in the workspace: its own code, and nothing of DVC's outside."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(workspace.resolve() / ".dvc/tmp/site"),
        "GIT_AUTHOR_NAME": "difflab", "GIT_AUTHOR_EMAIL": "difflab@localhost",
        "GIT_COMMITTER_NAME": "difflab", "GIT_COMMITTER_EMAIL": "difflab@localhost",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


def _git(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        raise DifflabError(f"git {arguments[0]}: {reason}")
