"""`dvc` and `difflab` without their start: one process has imported the libraries and forks each command.

A stage that DVC runs is forked in turn, as `difflab repro` does it. What a person would type into a shell is run there
by `study.shell`; what tests stop or kill they start as programs of its own.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

from difflab.cli import resident
from difflab.cli.parsed_files import remember

ROOT = Path(__file__).resolve().parents[2]


def finished(command: Sequence[str], folder: Path, variables: Mapping[str, str], out: Path, err: Path) -> int:
    """Run a command to its end, its output in two files; returns its exit status."""
    server = _server()
    request = {"command": list(command), "folder": str(folder), "variables": dict(variables)}
    server.stdin.write(json.dumps(request | {"out": str(out), "err": str(err)}) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the process that runs the programs has ended"
    return int(answer)


@cache
def _server() -> subprocess.Popen:
    """One for each test process; it ends with it."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    server = subprocess.Popen(
        [sys.executable, "-m", "study.programs"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(server.kill)
    return server


def serve() -> None:
    """Answer each line of standard input, a command, with a line of its exit status."""
    resident.prepare(1)
    resident.preload()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        remember(*(Path(request["folder"]) / name for name in ("dvc.yaml", "params.yaml", "dvc.lock")))
        if not (pid := os.fork()):
            _become(**request)
        ended = os.pidfd_open(pid)
        if ended not in select.select([ended, sys.stdin], [], [])[0]:
            os.killpg(0, signal.SIGKILL)  # the test process is gone: nothing outlives it
        os.close(ended)
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        answers.flush()


def _become(command: list[str], folder: str, variables: dict[str, str], out: str, err: str) -> NoReturn:
    code = 255
    try:
        for number, file in enumerate([os.devnull, out, err]):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        os.chdir(folder)
        os.environ.clear()
        code = resident._dvc(command[1:], variables) if command[0] == "dvc" else _difflab(command, variables)
    except BaseException:
        traceback.print_exc()
    finally:
        resident._leave(code, handlers=command[0] == "difflab")


def _difflab(command: list[str], variables: dict[str, str]) -> int:
    from difflab.cli.main import main

    os.environ.update(variables)
    sys.argv = list(command)
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    serve()
