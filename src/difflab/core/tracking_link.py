"""How a stage reaches the process that records it: one of its own, or one for all stages of a `difflab repro`.

Both run `difflab.core.tracking_worker`, take the same lines, and answer once at the end whether everything is stored.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SOCKET_VARIABLE = "DIFFLAB_RECORDER"
_WAIT_END = 60.0  # seconds


class OwnRecorder:
    """A child process. Its exit status is the answer, and its output the run's log."""

    def __init__(self, spool: Path) -> None:
        with (spool / "log").open("wb") as log:
            self.process = _start(str(spool), log=log)
        self.descriptor = self.process.stdin.fileno()
        os.set_blocking(self.descriptor, False)

    def close(self) -> None:
        """Say that nothing follows."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def stored(self, seconds: float) -> bool:
        """The answer.

        Raises:
            TimeoutError: there is none after so many seconds. The process is ended.
        """
        try:
            return self.process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise TimeoutError from None


class SharedRecorder:
    """A connection to the process that `shared_recorder` started; MLflow is imported and opened there already."""

    def __init__(self, spool: Path, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
            self._socket.sendall(f"{spool}\n".encode())
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.descriptor = self._socket.fileno()

    def close(self) -> None:
        """Say that nothing follows."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def stored(self, seconds: float) -> bool:
        """The answer; False if the process has ended.

        Raises:
            TimeoutError: there is none after so many seconds.
        """
        self._socket.settimeout(max(seconds, 0.001))
        with self._socket:
            try:
                return self._socket.recv(1) == b"1"
            except ConnectionError:
                return False


def recorder(spool: Path) -> OwnRecorder | SharedRecorder:
    """The shared process where one listens, else a process for this stage alone."""
    if path := os.environ.get(SOCKET_VARIABLE):
        with contextlib.suppress(OSError):
            return SharedRecorder(spool, path)
    return OwnRecorder(spool)


@contextlib.contextmanager
def shared_recorder() -> Iterator[dict[str, str]]:
    """Run a recording process for several stages, and give the environment in which they find it.

    At the end what the stages have sent is still written, within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="difflab-", ignore_cleanup_errors=True) as folder:
        path = str(Path(folder) / "recorder")
        process = _start("--serve", path, log=subprocess.DEVNULL)
        try:
            yield {SOCKET_VARIABLE: path}
        finally:
            process.stdin.close()
            try:
                process.wait(_WAIT_END)
            except subprocess.TimeoutExpired:  # a server that hangs must not hold the study
                process.kill()
                process.wait()


def _start(*arguments: str, log: object) -> subprocess.Popen:
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "difflab.core.tracking_worker", *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C reaches the stage, which then ends the run
    )
