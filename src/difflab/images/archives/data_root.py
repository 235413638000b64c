"""The folder of official archives and published weights that a person has fetched."""

import os
from pathlib import Path

from difflab.core.base.errors import DifflabError


def data_root(parameter: str | None) -> Path:
    """The data root: DIFFLAB_DATA, else `data.data_root` (relative to the repository, DVC_ROOT)."""
    environment = os.environ.get("DIFFLAB_DATA")
    chosen = environment or parameter
    if not chosen:
        raise DifflabError("no data root is set: set data.data_root, or the environment variable DIFFLAB_DATA")
    folder = Path(os.environ.get("DVC_ROOT", ".")) / Path(chosen).expanduser()
    if not folder.is_dir():
        name = "DIFFLAB_DATA" if environment else "data.data_root"
        raise DifflabError(f"{name} is '{chosen}', which is not a folder ({folder.resolve()}): correct it")
    return folder
