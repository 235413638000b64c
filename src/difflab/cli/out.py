"""Where a command writes: refused before any work is done, and never in the place of something else."""

import tempfile
from pathlib import Path

from difflab.core.base.errors import DifflabError


def require_file(path: Path) -> None:
    """Refuse a path that a file cannot be written to; its folder is made.

    Raises:
        DifflabError: there is a folder of this name, or the system says why not.
    """
    try:
        if path.is_dir():
            raise DifflabError(f"--out {path} is a folder: name a file, which may lie in it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise DifflabError(f"--out {path} cannot be written ({error.strerror}): name a file elsewhere") from None
