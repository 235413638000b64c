"""The process of a job, which outlives the server: `python -m difflab.app.personalise.process <job folder>`.

It waits until no other job runs, makes the workspace, runs `dvc exp run` there, and leaves how it ended. Its log has the
time before each line. Started again after an end by force, it goes on: the stage resumes its training.
"""

import fcntl
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from difflab.app.personalise.workspace import EXPERIMENT, STAGE, build, environment
from difflab.core.base.errors import DifflabError, one_line
from difflab.core.base.files import read_json, write_json

WAITING, PREPARING, RUNNING = "waiting", "preparing", "running"
VALUES, LOG, OUTCOME, WORKSPACE = "values.json", "log.txt", "outcome.json", "workspace"
QUEUE = "queue.lock"
_LEAST_FREE = 500 * 1024**2  # bytes of disk, of which a miniature's job takes 50 MB
_TRUTHFUL = "ERROR"


def run(job: Path) -> None:
    """Run the job whose folder this is, and write how it ended into `OUTCOME`."""
    session, workspace = job.parent, job / WORKSPACE
    say(WAITING)
    with (session.parent / QUEUE).open("a") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        try:
            say(PREPARING)
            check_disk(session)
            if not workspace.exists():
                half = job / "half"
                shutil.rmtree(half, ignore_errors=True)
                build(half, session, read_json(job / VALUES))
                half.rename(workspace)
            say(RUNNING)
            reason = experiment(workspace)
        except Exception as error:
            reason = one_line(error) or f"{type(error).__name__}: {error}"
    write_json(job / OUTCOME, {"reason": reason})


def experiment(workspace: Path) -> str:
    """Run the stage as a DVC experiment; why it failed, in one line, or nothing."""
    command = [sys.executable, "-m", "dvc", "exp", "run", "--force", "--name", EXPERIMENT, STAGE]
    reason = ""
    with subprocess.Popen(
        command, cwd=workspace, env=environment(workspace), text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in map(str.rstrip, process.stdout):
            say(line)
            if line.startswith(f"{_TRUTHFUL} ") or (not reason and line.startswith(f"{_TRUTHFUL}:")):
                reason = line.removeprefix(_TRUTHFUL).removeprefix(f" {STAGE}").lstrip(": ")
    return (reason or "the training ended without a word") if process.returncode else ""


def check_disk(folder: Path) -> None:
    """Refuse, as a DifflabError, to begin on a disk that is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        raise DifflabError(
            f"the disk has {free / 1e6:.0f} MB free, a training needs {_LEAST_FREE / 1e6:.0f}: free some"
        )


def say(line: str) -> None:
    print(json.dumps([round(time.time(), 3), line]), flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
