"""Programs that tests start: under a launcher, and never left alive."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def launch(program: Path, *arguments: str, processes: int = 1, timeout: float = 300, **options) -> str:
    """Run a Python program that may import the package, the stages and the tests; returns what it prints.

    torchrun starts each worker in a session of its own, so they are ended one by one.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(program), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes, **options) as process:
        started = psutil.Process(process.pid)
        try:
            output, errors = process.communicate(timeout=timeout)
        finally:
            if process.poll() is None:
                for one in [*started.children(recursive=True), started]:
                    one.kill()
    assert process.returncode == 0, errors[-2000:]
    return output
