"""What an edit costs: for each source file the stages that run again, and their seconds.

    python bench/reruns.py              the mean over all files, beside that of the exact import closures
    python bench/reruns.py --files      a row for each file too, the most expensive first

Seconds of a stage are those of its last run (.scratch/times), else the committed estimate; stages further down, which
run again only where an output changes, are not counted.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from closure import closure, exempt, modules, relative  # noqa: E402
from difflab.cli.times import expected_seconds  # noqa: E402
from difflab.core.params.loading import addresses, read_pipeline  # noqa: E402


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true", help="a row for each source file")
    wanted = parser.parse_args()
    listed, exact = costs()
    if wanted.files:
        for file, (seconds, stages) in sorted(listed.items(), key=lambda row: -row[1][0]):
            print(f"{seconds:7.0f} s  (exact {exact[file][0]:5.0f} s)  {file}: {', '.join(sorted(stages)) or '-'}")
    means = [sum(seconds for seconds, _ in table.values()) / len(table) for table in (listed, exact)]
    print(
        f"mean over {len(listed)} files: {means[0]:.0f} s of stages run again, {means[1]:.0f} s by the exact closures, "
        f"ratio {means[0] / means[1]:.2f}"
    )


def costs() -> tuple[dict[str, tuple[float, set[str]]], dict[str, tuple[float, set[str]]]]:
    """For each source file (seconds, stages): as dvc.yaml lists it, and as the import closures have it."""
    stages = read_pipeline(str(ROOT / "dvc.yaml"))["stages"]
    seconds_of = dict.fromkeys(stages, 0.0)
    for address, seconds in expected_seconds(addresses(str(ROOT / "dvc.yaml")), ROOT).items():
        seconds_of[address.split("@")[0]] += seconds
    sources = [*modules(), *sorted((ROOT / "stages").rglob("*.py"))]
    files = [relative(m) for m in sources if not exempt(m) and m.stat().st_size]
    listed: dict[str, tuple[float, set[str]]] = {file: (0.0, set()) for file in files}
    exact = dict(listed)
    for name, stage in stages.items():
        script = ROOT / (stage["cmd"].split()[2].replace(".", "/") + ".py")
        needed = closure(script) | {relative(script)}
        covered = {file for file in files for dep in stage["deps"] if file == dep or file.startswith(f"{dep}/")}
        for table, rerun in ((listed, covered), (exact, needed & listed.keys())):
            for file in rerun:
                table[file] = (table[file][0] + seconds_of[name], table[file][1] | {name})
    return listed, exact


if __name__ == "__main__":
    main()
