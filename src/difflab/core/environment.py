"""The libraries that can change a result: their locked versions stand in params.yaml, under `environment`.

`make lock` writes them (`python -m difflab.core.environment`); a stage depends on those that it uses.
"""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import get_args

from difflab.core.base.errors import DifflabError
from difflab.core.params.common import Library

LIBRARIES: tuple[Library, ...] = get_args(Library)
OR = " or "  # the lock may hold a version for each Python
CONF = Path("conf/study/environment.yaml")
HEADER = """# @package _global_
# Versions of the libraries that can change a result, from requirements.lock: `make lock` writes this file.
environment:
"""


def mismatches(locked: Mapping[str, str] | None = None) -> list[str]:
    """What differs between the locked versions and the installed ones, one text for each library.

    Args:
        locked: versions by library; None: all of params.yaml.
    """
    if locked is None:
        from difflab.core.params import load_params

        locked = load_params().environment
    return [
        f"{library} {installed(library) or 'is missing'} instead of {expected}"
        for library, expected in locked.items()
        if installed(library) not in expected.split(OR)
    ]


def installed(library: str) -> str | None:
    """The installed version without its local part (`2.11.0` of `2.11.0+cpu`); None where it is missing."""
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return None


def write_locked(lock: Path = Path("requirements.lock"), conf: Path = CONF) -> None:
    """Write the versions of requirements.lock into conf/.

    Raises:
        DifflabError: the lock lacks a library.
    """
    pinned = re.findall(r"^([\w-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
    versions = {library: OR.join(v for name, v in pinned if name == library) for library in LIBRARIES}
    if missing := [library for library in LIBRARIES if not versions[library]]:
        raise DifflabError(f"{lock} has no {missing[0]}: add it to the dependencies in pyproject.toml")
    conf.write_text(HEADER + "".join(f'  {library}: "{found}"\n' for library, found in versions.items()))


if __name__ == "__main__":
    write_locked()
