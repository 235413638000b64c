"""The stages of dvc.yaml, one script each, named as the stage.

A queued experiment runs a snapshot of the repository: its own `src` comes first, before an editable install.
"""

import atexit
import gc
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from difflab.core.base.runtime import quiet

gc.set_threshold(200_000, 20, 20)  # importing the libraries makes millions of objects, and all of them stay

if quiet():
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars too; read when tqdm is imported


def _quit(signum: int, frame: object) -> None:
    os.write(2, b"stopped before any work began\n")
    os._exit(130)


def _end() -> None:
    """The last thing to run: a second or two of searching for cycles, and triton's report of what that would free."""
    gc.freeze()
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


atexit.register(_end)  # before the libraries register theirs: these run first, and their messages are seen
signal.signal(signal.SIGINT, _quit)  # while the libraries are imported; `difflab.core.stage.run` takes over
