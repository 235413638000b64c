"""The libraries that can change a result: their locked versions stand in params.yaml, under `environment`.

`make lock` writes them (`python -m difflab.core.environment`). A stage depends on one of two texts: `arrays`, or `models`
where it uses a network as well. A text each, because DVC compares every declared key once for every stage.
"""

import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from difflab.core.base.errors import DifflabError

ARRAYS = ("numpy", "pillow", "scikit-image", "scikit-learn", "scipy")
LIBRARIES = sorted((*ARRAYS, "diffusers", "peft", "tokenizers", "torch", "transformers"))
GROUPS = {"arrays": ARRAYS, "models": LIBRARIES}
OR = " or "  # the lock may hold a version for each Python
CONF = Path("conf/study/environment.yaml")
HEADER = """# @package _global_
# Versions of the libraries that can change a result, from requirements.lock: `make lock` writes this file.
environment:
"""


def mismatches(locked: Mapping[str, str] | None = None) -> list[str]:
    """What differs between locked and installed versions, one text for each library.

    Args:
        locked: groups of params.yaml, such as {"arrays": "numpy 2.4.6 or 2.5.5, scipy 1.17.1"}; None: all of them.
    """
    if locked is None:
        from difflab.core.params import load_params

        locked = load_params().environment
    expected = dict(entry.split(" ", 1) for text in dict(locked).values() for entry in text.split(", "))
    return [
        f"{library} {installed(library) or 'is missing'} instead of {versions}"
        for library, versions in expected.items()
        if installed(library) not in versions.split(OR)
    ]


def installed(library: str) -> str | None:
    """The installed version without its local part (`2.11.0` of `2.11.0+cpu`); None where it is missing."""
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return None


def processor() -> str:
    """The name of this machine's processor and its architecture: "AMD EPYC 7B13 (x86_64)"."""
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
    texts = {group: ", ".join(f"{name} {versions[name]}" for name in names) for group, names in GROUPS.items()}
    conf.write_text(HEADER + "".join(f'  {group}: "{text}"\n' for group, text in texts.items()))


if __name__ == "__main__":
    write_locked()
