"""Where the trainings of one cell of the study lie: `<folder>/seed-<n>` for each seed."""

import re
from pathlib import Path

from difflab.core.base.errors import DifflabError


def trainings(folder: Path) -> dict[int, Path]:
    """The folder of each training below an output, by its seed in ascending order.

    Raises:
        DifflabError: there is none.
    """
    found = {int(name[1]): path for path in folder.glob("seed-*") if (name := re.fullmatch(r"seed-(\d+)", path.name))}
    if not found:
        raise DifflabError(f"{folder} holds no training: run `dvc repro` (or `dvc pull`) to make it")
    return dict(sorted(found.items()))
