"""The libraries that can change a result: their locked versions stand in params.yaml, under `environment`.

`make lock` writes them (`python -m difflab.core.environment`). A stage depends on one of two fingerprints of them:
`arrays`, or `models` where it uses a network as well. One short value each, because dvc.lock holds it once for every stage.
"""

import hashlib
import platform
import re
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_text

ARRAYS = ("numpy", "pillow", "scikit-image", "scikit-learn", "scipy")
LIBRARIES = sorted((*ARRAYS, "diffusers", "peft", "tokenizers", "torch", "transformers"))
GROUPS = {"arrays": ARRAYS, "models": LIBRARIES}
OR = " or "  # the lock may hold a version for each Python
CONF = Path("conf/study/environment.yaml")
HEADER = """# @package _global_
# Versions of the libraries that can change a result, from requirements.lock: `make lock` writes this file.
environment:
"""


def mismatches(versions: str, libraries: Collection[str] = LIBRARIES) -> list[str]:
    """What differs between locked and installed versions, one text for each of the libraries.

    Args:
        versions: `environment.versions` of params.yaml, such as "numpy 2.4.6 or 2.5.5, scipy 1.17.1".
    """
    locked = dict(entry.split(" ", 1) for entry in versions.split(", "))
    return [
        f"{library} {installed(library) or 'is missing'} instead of {locked[library]}"
        for library in libraries
        if library in locked and installed(library) not in locked[library].split(OR)
    ]


def installed(library: str) -> str | None:
    """The installed version without its local part (`2.11.0` of `2.11.0+cpu`); None where it is missing."""
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's name and architecture: `AMD EPYC (x86_64)`."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return f"{found[1] if found else platform.processor() or 'unknown processor'} ({platform.machine()})"


def write_locked(lock: Path = Path("requirements.lock"), conf: Path = CONF) -> None:
    """Write the versions of requirements.lock into conf/.

    Raises:
        DifflabError: the lock lacks a library.
    """
    pinned = re.findall(r"^([\w-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
    versions = {library: OR.join(v for name, v in pinned if name == library) for library in LIBRARIES}
    if missing := [library for library in LIBRARIES if not versions[library]]:
        raise DifflabError(f"{lock} has no {missing[0]}: add it to the dependencies in pyproject.toml")
    lines = [f'  versions: "{_text(versions, LIBRARIES)}"']
    for group, names in GROUPS.items():
        digest = hashlib.sha256(_text(versions, names).encode()).hexdigest()[:8]
        lines.append(f"  {group}: x{digest} # of {', '.join(names)}")
    write_text(conf, HEADER + "\n".join([*lines, ""]))


def _text(versions: Mapping[str, str], names: Collection[str]) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in names)


if __name__ == "__main__":
    write_locked()
