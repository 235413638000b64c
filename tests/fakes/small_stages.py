"""A repository of small stages, run as the programs that they are."""

import os
import shutil
import subprocess
import sys
import time

import yaml

PIPELINE = {
    "stages": {
        "demo": {
            "cmd": "python -m stages.demo",
            "deps": ["stages/demo.py", "data/input.txt"],
            "params": ["seed", "split"],
        },
        "cell": {
            "matrix": {"kind": ["a", "b"]},
            "cmd": "python -m stages.cell --kind ${item.kind}",
            "deps": ["stages/cell.py", "data/${item.kind}.txt"],
            "params": ["seed"],
        },
        "other": {"cmd": "python -m stages.demo --as other", "deps": ["stages/demo.py"], "params": ["prepare"]},
    }
}
HEAD = '"""A stage for tests."""\nfrom difflab.core.base.stage import Stage, run\n'
TAIL = '\nif __name__ == "__main__":\n    run(main)\n'


def make(folder, root, params):
    """The repository in an empty folder, with the text of its params.yaml."""
    for name in ("stages", "data"):
        (folder / name).mkdir()
    shutil.copy(root / "stages" / "__init__.py", folder / "stages")
    (folder / "params.yaml").write_text(params)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    for name in ("input", "a", "b"):
        (folder / "data" / f"{name}.txt").write_text(name)
    return Repository(folder, root)


class Repository:
    """A repository with the pipeline above; stages are written as the body of their main."""

    def __init__(self, folder, root):
        self.folder = folder
        paths = [str(root / "src"), os.environ.get("PYTHONPATH", "")]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "DVC_ROOT": str(folder)}
        self.environment.pop("DVC_STAGE", None)

    def write(self, name, body, arguments="stage: Stage"):
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        text = f"{HEAD}\ndef main({arguments}) -> None:\n{lines}\n{TAIL}"
        (self.folder / "stages" / f"{name}.py").write_text(text)

    def start(self, name, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", f"stages.{name}", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, name, *arguments):
        process = self.start(name, *arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def scratch(self, name="demo"):
        return sorted((self.folder / ".scratch" / name).glob("*"))


LOOP = """\
import time
from pathlib import Path
from difflab.core.base import runtime
scratch = stage.scratch()
with runtime.graceful_stop("the loop") as stop:
    Path("started").write_text("")
    while not stop:
        time.sleep(0.02)
    (scratch / "state").write_text("saved")
    raise runtime.interrupted("the loop")
"""


PRINT = "print(stage.fingerprint())"


def started(repo):
    process = repo.start("demo")
    wait(lambda: (repo.folder / "started").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


def wait(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
