"""A small DVC repository without Git: first -> left, right -> last."""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import yaml

# Each of `left` and `right` waits until the other has started: one after the other they would fail.
MEET = """
import pathlib, sys, time
own, other = sys.argv[1:]
pathlib.Path(f"{own}.started").touch()
for _ in range(300):
    if pathlib.Path(f"{other}.started").exists():
        break
    time.sleep(0.1)
else:
    sys.exit(f"{own} is alone")
pathlib.Path(own).write_text(pathlib.Path("first").read_text() + own)
"""
JOIN = """
import pathlib
pathlib.Path("last").write_text(pathlib.Path("left").read_text() + pathlib.Path("right").read_text())
"""


def dvc(*words):
    return subprocess.run([sys.executable, "-m", "dvc", *words], check=True, capture_output=True, text=True)


def init() -> None:
    """Do `dvc init --no-scm` in the current folder, by a copy of what it made once."""
    for name, content in _initialised().items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


@cache
def _initialised() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)
        files = (path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def make() -> None:
    """Make it in the current folder."""
    init()
    Path("meet.py").write_text(MEET)
    Path("join.py").write_text(JOIN)
    Path("seed.txt").write_text("1")
    python = sys.executable
    write({
        "first": {"cmd": "cp seed.txt first", "deps": ["seed.txt"], "outs": ["first"]},
        "left": {"cmd": f"{python} meet.py left right", "deps": ["first"], "outs": ["left"]},
        "right": {"cmd": f"{python} meet.py right left", "deps": ["first"], "outs": ["right"]},
        "last": {"cmd": f"{python} join.py", "deps": ["left", "right"], "outs": ["last"]},
    })  # fmt: skip


def write(stages):
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))


def change(stage, **fields):
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    stages[stage] |= fields
    write(stages)
