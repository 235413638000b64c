"""Programs that tests start: under a launcher, and never left alive."""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
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


def forked(work, count):
    """What `work()` gives in each of `count` processes of one launch, forked from this one; 1 is this process."""
    if count == 1:
        return [work()]
    context = multiprocessing.get_context("fork")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        launch = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(found.getsockname()[1])}

    def be(rank, answers):
        os.environ.update(launch, RANK=str(rank), LOCAL_RANK=str(rank))
        answers.put((rank, work()))

    answers = context.SimpleQueue()
    processes = [context.Process(target=be, args=(rank, answers)) for rank in range(count)]
    for process in processes:
        process.start()
    try:
        deadline = time.monotonic() + 120
        found = {}
        while len(found) < count:
            assert time.monotonic() < deadline
            assert all(process.exitcode in (None, 0) for process in processes), "a process has failed"
            if answers.empty():
                time.sleep(0.01)
            else:
                rank, answer = answers.get()
                found[rank] = answer
    finally:
        for process in processes:
            process.kill()
            process.join()
    return [found[rank] for rank in range(count)]
