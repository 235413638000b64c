"""A forked stage is the stage that `python -m` would be: same outputs, same lock file, same ends."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from difflab.cli import repro
from difflab.cli.resident import LIBRARIES, stage_command
from fakes.pipeline import dvc, init, write

# What a program can see of itself, and a pool whose processes import it by its name.
SEES = """
import json, multiprocessing, os, sys
inherited = sorted(name for name in sys.modules if name.partition(".")[0] == "difflab")
def double(number):
    return 2 * number
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        doubled = pool.map(double, [1, 2])
    seen = {
        "argv": [os.path.relpath(sys.argv[0]), *sys.argv[1:]], "file": os.path.relpath(__file__), "spec": __spec__.name,
        "main": sys.modules["__main__"].__dict__ is globals(), "cwd": os.getcwd(), "path": sys.path[0] in ("", os.getcwd()),
        "stage": os.environ["DVC_STAGE"], "root": os.environ["DVC_ROOT"], "doubled": doubled, "inherited": inherited,
    }
    with open(sys.argv[2], "w") as file:
        json.dump(seen, file, indent=1)
"""
STOPS = """
import signal, sys, time
from pathlib import Path
try:
    Path("started").touch()
    print("at work", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    Path("saved").touch()
    sys.exit(130)
"""


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A function that makes the stage `one` of a script's text, in a repository of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    init()

    def make(script: str) -> None:
        Path("stages/study").mkdir(parents=True)
        Path("stages/__init__.py").touch()
        Path("stages/study/one.py").write_text(script)
        command = "python -m stages.study.one --out seen.json"
        write({"one": {"cmd": command, "deps": ["stages/study/one.py"], "outs": ["seen.json"]}})

    return make


@pytest.mark.parametrize(
    ("cmd", "words"),
    [
        ("python -m stages.a.b --x y-1 --as c@d", ["stages.a.b", "--x", "y-1", "--as", "c@d"]),
        ("python -m stages.a.b", ["stages.a.b"]),
        ("python -m stages.a.b > log", None),
        ("python -m stages.a.b; true", None),
        ("python -m stages.a.b --x $HOME", None),
        ("python -m json.tool", None),
        ("accelerate launch -m stages.a.b", None),
    ],
)
def test_only_the_plain_command_of_a_stage_is_forked(cmd, words):
    assert stage_command(cmd) == words


def test_outputs_and_lock_file_are_those_of_dvc(stage):
    stage(SEES)
    assert repro.repro([], jobs=1) == {"one": repro.DONE}
    forked, lock = Path("seen.json").read_text(), Path("dvc.lock").read_bytes()
    Path("dvc.lock").unlink()
    shutil.rmtree(".dvc/cache")
    dvc("repro", "--force")
    assert Path("seen.json").read_text() == forked
    assert Path("dvc.lock").read_bytes() == lock


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; print('no room'); sys.exit(3)", "no room"),
        ("raise SystemExit('no disk')", "no disk"),
        ("import os, signal; print('mortal', flush=True); os.kill(os.getpid(), signal.SIGKILL)", "mortal"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_stage_that_fails_or_is_killed_is_seen(stage, root, script, said):
    """In a process of its own: the test's has other streams than a terminal's."""
    stage(script)
    command = [sys.executable, "-c", "from difflab.cli.repro import repro\nprint(repro([], 1))"]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.endswith("{'one': 'failed'}\n")
    assert said in printed
    assert "failed to reproduce 'one'" in printed
    assert not Path("dvc.lock").exists()


def test_what_a_stage_registers_for_its_end_is_run(stage):
    stage("import atexit, pathlib; atexit.register(pathlib.Path('seen.json').write_text, 'late')")
    assert repro.repro([], jobs=1) == {"one": repro.DONE}
    assert Path("seen.json").read_text() == "late"


@pytest.mark.parametrize(
    ("number", "to_all"), [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["ctrl-c", "sigterm"]
)
def test_a_stopped_run_lets_its_stages_save_their_state(stage, root, number, to_all):
    stage(STOPS)
    script = "from difflab.cli.repro import repro\ntry: repro([], 1)\nexcept KeyboardInterrupt: raise SystemExit(130)"
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not Path("started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        (os.killpg if to_all else os.kill)(process.pid, number)
        assert process.wait(300) == 130
    finally:
        process.kill()
    assert Path("saved").exists()
    assert not Path("dvc.lock").exists()


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_is_imported_before_the_fork_exists(name):
    """A name that does not is left out without a word, and each child would import it for itself."""
    module, _, attribute = name.partition(":")
    assert hasattr(importlib.import_module(module), attribute or "__name__")


def test_the_process_that_is_forked_has_computed_nothing(root):
    """A pool of threads, or a CUDA context, would be broken in every child."""
    script = """
    import os, sys
    from difflab.cli import resident
    resident.prepare(1)
    resident.preload()
    import torch
    assert not torch.cuda.is_initialized()
    tasks = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
    print(*sorted(name for name in tasks if name != "jemalloc_bg_thd"))  # pyarrow's allocator, which knows forks
    """
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.split()) == 1
