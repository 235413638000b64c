"""How long `dvc repro` and `difflab repro` take when everything is up to date: the median of three runs each.

    python bench/nothing_to_do.py                # in the root of a finished study
    python bench/nothing_to_do.py --runs 5 FOLDER

On two idle cores `dvc repro` should take at most 9 s and `difflab repro` 5 s.
"""

import os
import resource
import subprocess
import sys
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from statistics import median

PROGRAMS = {
    "dvc repro": ["-m", "dvc", "repro"],
    "difflab repro": ["-c", "from difflab.cli.main import main; main()", "repro"],
}


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(args.folder.resolve() / "src")}
    print(f"{len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}")
    for name, arguments in PROGRAMS.items():
        wall, processor = zip(*(timed(arguments, args.folder, environment) for _ in range(args.runs)), strict=True)
        print(f"{name}: {median(wall):.1f} s, of a processor {median(processor):.1f} s", flush=True)


def timed(arguments: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one run, which must find nothing to do."""
    before, started = used(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - started
    if done.returncode or "up to date" not in done.stdout:
        sys.exit(f"{folder} is not a finished study: {(done.stderr or done.stdout).strip()[-300:]}")
    return wall, used() - before


def used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
