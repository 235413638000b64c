"""A stage as a process: stopped, beside others, and at its end."""

import shutil
import signal
import subprocess
import sys

import pytest
import yaml

from fakes.small_stages import LOOP, started, wait


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_the_state_and_says_so(repo, number):
    repo.write("demo", LOOP)
    process = started(repo)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "demo: the loop stopped with its state saved: run the same command to go on"
    assert "Traceback" not in err
    (folder,) = repo.scratch()
    assert (folder / "state").read_text() == "saved"


def test_a_second_process_on_the_same_outputs_is_refused_whoever_started_it(repo):
    """DVC and a person hash the inputs in different ways, so their states differ, and the outputs do not."""
    repo.write("demo", LOOP)
    process = started(repo)
    try:
        lock = {"stages": {"make": {"outs": [{"path": "data/input.txt", "md5": "a" * 32}]}}}
        (repo.folder / "dvc.lock").write_text(yaml.safe_dump(lock))
        repo.environment["DVC_STAGE"] = "demo"
        code, _, err = repo.run("demo")
        assert code == 1
        assert err.startswith(f"ERROR demo: demo is already running as process {process.pid}: ")
    finally:
        process.kill()
        process.communicate()


def test_another_workspace_works_beside_the_same_state(repo, tmp_path_factory):
    """As queued experiments do that share a stage: both run, and neither touches the other's state."""
    repo.write("demo", LOOP)
    process = started(repo)
    other = tmp_path_factory.mktemp("experiment")
    for name in ("stages", "data", "params.yaml", "dvc.yaml"):
        (shutil.copytree if (repo.folder / name).is_dir() else shutil.copy)(repo.folder / name, other / name)
    second = subprocess.Popen(
        [sys.executable, "-m", "stages.demo"], cwd=other, env=repo.environment, stderr=subprocess.PIPE, text=True
    )
    wait(lambda: (other / "started").exists() or second.poll() is not None)
    first, beside = repo.scratch()
    assert beside.name == f"{first.name}-2"
    for one, folder in ((second, beside), (process, first)):
        one.send_signal(signal.SIGINT)
        one.communicate(timeout=60)
        assert one.returncode == 130
        assert (folder / "state").read_text() == "saved"


def test_a_second_process_on_the_same_state_is_refused_by_pid(repo):
    repo.write("demo", LOOP)
    process = started(repo)
    try:
        code, _, err = repo.run("demo")
        assert code == 1
        assert err.startswith(f"ERROR demo: demo is already running as process {process.pid}: ")
    finally:
        process.kill()
        process.communicate()
    (repo.folder / "started").unlink()
    again = started(repo)  # the lock of a killed process does not stay
    again.kill()
    again.communicate()


LOUD = """import sys
class Loud:
    def __del__(self): sys.__stderr__.write('torn down')
sys.loud = Loud()
"""


@pytest.mark.parametrize(
    ("last", "status"), [("", 0), ("raise KeyboardInterrupt", 130), ("sys.exit(3)", 3), ("1 / 0", 1)]
)
def test_a_stage_ends_with_its_status_after_its_exit_handlers(repo, last, status):
    repo.write("demo", f"import atexit, sys\natexit.register(lambda: print('a last word', file=sys.stderr))\n{last}")
    code, _, err = repo.run("demo")
    assert code == status
    assert err.splitlines()[-1] == "a last word"
    assert ("ZeroDivisionError" in err) == (last == "1 / 0")


def test_a_stage_ends_before_python_takes_its_objects_apart(repo):
    repo.write("demo", LOUD)
    code, _, err = repo.run("demo")
    assert (code, err) == (0, "")


def test_an_exception_in_an_exit_handler_is_seen(repo):
    repo.write("demo", "import atexit\natexit.register(lambda: 1 / 0)")
    code, _, err = repo.run("demo")
    assert code == 0, "as Python has it: the stage's work is done"
    assert "ZeroDivisionError" in err


def test_a_segmentation_fault_in_an_exit_handler_is_seen(repo):
    repo.write("demo", "import atexit, ctypes\natexit.register(lambda: ctypes.string_at(0))")
    code, _, err = repo.run("demo")
    assert code == -signal.SIGSEGV
    assert "Segmentation fault" in err
