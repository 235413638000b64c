"""The stages of dvc.yaml, one script each, named as the stage.

A queued experiment runs a snapshot of the repository: its own `src` comes first, before an editable install.
"""

import atexit
import faulthandler
import gc
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from difflab.core.base import numerics, runtime

if unpinned := numerics.pin(numerics.mode()):  # before any library that computes is imported
    print(f"WARNING {unpinned}", file=sys.stderr)

runtime.print_everything()

gc.set_threshold(200_000, 20, 20)  # importing the libraries makes millions of objects, and all of them stay

faulthandler.enable()  # a crash of a library says where

if runtime.quiet():
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars too; read when tqdm is imported


def _quit(signum: int, frame: object) -> None:
    if os.environ.get("RANK", "0") == "0":
        os.write(2, b"stopped before any work began\n")
    os._exit(130)


def _end() -> None:
    """End here, with the stage's own status, once every exit handler has run and what it said is seen.

    What is left, taking millions of objects apart, costs a second or two and makes the libraries complain.
    """
    if runtime.exit_status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(runtime.exit_status)


atexit.register(_end)  # the first to be registered is the last to run
signal.signal(signal.SIGINT, _quit)  # while the libraries are imported; `difflab.core.base.stage.run` takes over
