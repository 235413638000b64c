"""Whether a clone can trust dvc.lock: it belongs to this code and these parameters, and its outputs can be had."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from difflab.cli.doctor import without_secrets
from difflab.core.base.errors import DifflabError, one_line
from difflab.core.params.loading import addresses

_OF_THE_DISK = re.compile(r"unexpected error - \[Errno (\d+)\] ([^:]+)(?:: '([^']+)')?")


def verify(objects: bool = False) -> Iterator[str]:
    """One line for each thing that holds, as it is found; with `objects` hash the local cache again. Downloads nothing.

    Raises:
        DifflabError: a stage is out of date, an output is not in the remote, or an object is damaged.
    """
    if objects:
        count, damaged = damaged_objects()
        if damaged:
            listed = ", ".join(map(str, damaged))
            raise DifflabError(f"damaged in the cache: {listed}; delete them, then `dvc pull` or `dvc repro`")
        yield f"cache: {count} objects are what their names say"
    addresses(str(Path("dvc.yaml").resolve()))  # an empty dvc.yaml has nothing that could be out of date
    if not Path("dvc.lock").exists():
        raise DifflabError("dvc.lock is missing: run `dvc repro`, then commit it")
    if stale := changed_stages():
        raise DifflabError(f"out of date: {', '.join(stale)}; run `dvc repro`, then commit what it changes")
    yield "dvc.lock: what `dvc repro` would write from this code, these parameters and these data"
    if remote := _dvc("config", "core.remote").stdout.strip():
        status = _dvc("data", "status", "--not-in-remote", "--json")
        if status.returncode:
            raise DifflabError(f"the remote cannot be read: {_reason(status)}")
        if absent := sorted(json.loads(status.stdout).get("not_in_remote", [])):
            few = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            raise DifflabError(f"remote '{remote}' lacks {len(absent)} outputs ({few}): run `dvc push`")
        yield f"remote '{remote}': has every output"
    else:
        yield "remote: none is set, so outputs exist only where they were made (docs/sharing.md)"


def changed_stages() -> list[str]:
    """What `dvc repro` would run, without the outputs being here."""
    dry = _dvc("repro", "--dry", "--allow-missing")
    pattern = r"(?:Running stage|failed to reproduce) '([^']+)'"  # fails where the new inputs are not here
    stages = list(dict.fromkeys(re.findall(pattern, dry.stdout + dry.stderr)))
    if not stages and dry.returncode:
        raise DifflabError(_reason(dry))
    return stages


def damaged_objects() -> tuple[int, list[Path]]:
    """How many objects the local cache has, and those whose content is not what their name says."""
    folder = Path(_dvc("cache", "dir").stdout.strip()) / "files" / "md5"
    found = {path: path.parent.name + path.name.removesuffix(".dir") for path in sorted(folder.glob("??/*"))}
    found = {path: md5 for path, md5 in found.items() if len(md5) == 32}  # the rest is half written
    return len(found), [path for path, md5 in found.items() if _md5(path) != md5]


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _dvc(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)


def _reason(done: subprocess.CompletedProcess) -> str:
    """The last error that DVC printed; else all it said, in one line: a broken YAML file has no such line."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")] or [" ".join(lines)]
    if found := _OF_THE_DISK.search(errors[-1]):  # what DVC calls an unexpected error
        error = OSError(int(found[1]), found[2], *filter(None, [found[3]]))
        return without_secrets(one_line(error) or found[2])
    return without_secrets(errors[-1].removeprefix("ERROR: ") or "DVC failed without a word")
