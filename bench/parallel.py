"""Four cells of the study one after the other and side by side (`difflab repro -j 1` and `-j N`).

    python bench/parallel.py                 # in a temporary clone, smoke profile with longer trainings
    python bench/parallel.py --steps 240     # cells of another length

Prints both wall times, their ratio, and whether both gave the same outputs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import yaml

CELLS = ["finetune@blip2-minus", "finetune@blip2-plus", "finetune@llama3-minus", "finetune@llama3-plus"]
BEFORE = ["cache_latents", "cache_prompts", "zoo_transformer"]


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp()) / "study"
    root = Path(__file__).resolve().parent.parent
    run(root, "git", "clone", "-q", str(root), str(folder))
    run(folder, "difflab", "compose", "-S", "profile=smoke", "-S", f"finetune.training.steps={args.steps}")
    run(folder, "difflab", "repro", *BEFORE)
    lock = (folder / "dvc.lock").read_text()

    seconds, outputs = {}, {}
    for jobs in (1, args.jobs):
        (folder / "dvc.lock").write_text(lock)
        shutil.rmtree(folder / ".dvc" / "cache" / "runs")
        started = time.perf_counter()
        run(folder, "difflab", "repro", "--jobs", str(jobs), *CELLS)
        seconds[jobs] = time.perf_counter() - started
        stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
        outputs[jobs] = {cell: stages[cell]["outs"] for cell in CELLS}
        print(f"{len(CELLS)} cells, {jobs} at once: {seconds[jobs]:.1f} s", flush=True)
    print(f"ratio {seconds[1] / seconds[args.jobs]:.2f} on {os.cpu_count()} processors")
    print(f"outputs {'equal' if outputs[1] == outputs[args.jobs] else 'DIFFER'}")


def run(folder: Path, *command: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
