"""What every stage does around its own work, tried on small stages run as programs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from difflab.cli.compose import compose
from difflab.core.base.files import read_json

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


@pytest.fixture(scope="module")
def composed(root):
    return compose(["profile=smoke", "tracking.enabled=false"], root / "conf")


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


@pytest.fixture
def repo(tmp_path, root, composed):
    for folder in ("stages", "data"):
        (tmp_path / folder).mkdir()
    shutil.copy(root / "stages" / "__init__.py", tmp_path / "stages")
    (tmp_path / "params.yaml").write_text(composed)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    for name in ("input", "a", "b"):
        (tmp_path / "data" / f"{name}.txt").write_text(name)
    return Repository(tmp_path, root)


def test_a_stage_ends_with_what_it_wrote_and_notes_its_time(repo):
    repo.write("demo", 'stage.write_metrics("metrics/demo.json", {"fid": 1 / 3, "n": 7})\nstage.done("wrote it")')
    code, out, err = repo.run("demo")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("demo: wrote it (")
    assert read_json(repo.folder / "metrics" / "demo.json") == {"fid": 0.333333, "n": 7}
    noted = read_json(repo.folder / ".scratch" / "times" / "demo.json")
    assert noted["status"] == "FINISHED"
    assert noted["host_gb"] > 0
    assert noted["seconds"] > 0


def test_a_cell_gets_its_item_and_its_own_address(repo):
    repo.write("cell", "stage.done(kind + str(stage.item))", "stage: Stage, *, kind: str")
    code, out, _ = repo.run("cell", "--kind", "b")
    assert code == 0
    assert out.startswith("cell@b: b{'kind': 'b'}")
    code, _, err = repo.run("cell")
    assert code == 2
    assert "--kind" in err


def test_a_script_may_serve_another_stage(repo):
    repo.write("demo", "print(stage.params.prepare.min_side, stage.address)")
    code, out, _ = repo.run("demo", "--as", "other")
    assert code == 0
    assert out.split()[1] == "other"


def test_an_undeclared_parameter_is_one_line_without_a_traceback(repo):
    repo.write("demo", "stage.params.prepare.min_side")
    code, _, err = repo.run("demo")
    assert code == 1
    assert err == (
        "ERROR demo: stage demo reads the parameter group 'prepare' but dvc.yaml does not declare it under params\n"
    )


def test_an_unforeseen_error_keeps_its_traceback(repo):
    repo.write("demo", "raise ValueError('surprise')")
    code, _, err = repo.run("demo")
    assert code == 1
    assert "Traceback" in err
    assert "surprise" in err
    assert read_json(repo.folder / ".scratch" / "times" / "demo.json")["status"] == "FAILED"


def test_a_full_disk_is_one_line(repo):
    repo.write("demo", "raise OSError(28, 'No space left on device', 'models/x')")
    code, _, err = repo.run("demo")
    assert code == 1
    assert err == "ERROR demo: the disk is full (models/x): free some space, then run again\n"


def test_a_damaged_note_of_its_time_is_replaced(repo):
    repo.write("demo", "pass")
    note = repo.folder / ".scratch" / "times" / "demo.json"
    note.parent.mkdir(parents=True)
    note.write_text('{"sec')
    assert repo.run("demo")[::2] == (0, "")
    assert read_json(note)["status"] == "FINISHED"


def test_a_time_that_cannot_be_noted_is_one_warning(repo):
    repo.write("demo", "pass")
    (repo.folder / ".scratch").touch()
    code, _, err = repo.run("demo")
    assert code == 0
    assert re.fullmatch(r"WARNING demo: its time is not noted: .*move .* away, then run again\n", err)


@pytest.mark.parametrize("damaged", ["stages: {a", "[1]", "stages: [1]", "stages: {make: {outs: [{md5: 1}]}}"])
def test_a_damaged_lock_is_named_with_its_remedy(repo, damaged):
    repo.write("demo", PRINT)
    (repo.folder / "dvc.lock").write_text(damaged)
    repo.environment["DVC_STAGE"] = "demo"
    assert repo.run("demo")[::2] == (1, "ERROR demo: dvc.lock is damaged: `git checkout dvc.lock` brings it back\n")


@pytest.mark.parametrize("variables", [{"RANK": "x"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"WORLD_SIZE": "-1"}])
def test_a_launch_that_makes_no_sense_is_one_line(repo, variables):
    repo.write("demo", "stage.scratch()")
    repo.environment |= variables
    code, _, err = repo.run("demo")
    assert code == 1
    assert re.fullmatch(r"ERROR demo: (RANK|WORLD_SIZE) is .*: unset .*\n", err)


def test_a_terminal_of_another_encoding_gets_every_line(repo):
    repo.write("demo", 'stage.done("FID −0.5 ± 0.1")')
    repo.environment["PYTHONIOENCODING"] = "latin-1"
    process = repo.start("demo")
    assert process.stdout.buffer.read().startswith(b"demo: FID \\u22120.5 \xb1 0.1 (")
    assert process.wait() == 0
    process.communicate()


def test_scratch_stays_after_a_failure_and_goes_after_success(repo):
    repo.write("demo", '(stage.scratch() / "state").write_text("half")\nraise ValueError')
    assert repo.run("demo")[0] == 1
    (folder,) = repo.scratch()
    assert (folder / "state").read_text() == "half"
    resumed = '(stage.scratch() / "state").write_text("done")'
    repo.write("demo", '(stage.scratch() / "state").write_text("half")\nraise ValueError')  # the same code
    assert repo.run("demo")[0] == 1
    assert repo.scratch() == [folder]
    repo.write("demo", resumed)  # other code, other state
    assert repo.run("demo")[0] == 0
    assert repo.scratch() == [folder]


PRINT = "print(stage.fingerprint())"


def test_the_fingerprint_follows_everything_the_stage_depends_on(repo):
    def fingerprint():
        code, out, err = repo.run("demo")
        assert code == 0, err
        return out.strip()

    repo.write("demo", PRINT)
    first = fingerprint()
    assert fingerprint() == first

    params = repo.folder / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("min_side: ", "min_side: 1"))  # prepare is not declared
    assert fingerprint() == first
    params.write_text(re.sub(r"(?m)^seed: 0$", "seed: 1", text))
    other_seed = fingerprint()
    params.write_text(text)
    (repo.folder / "data" / "input.txt").write_text("changed")
    other_input = fingerprint()
    (repo.folder / "data" / "input.txt").write_text("input")
    repo.write("demo", PRINT + "  # other code")
    assert len({first, other_seed, other_input, fingerprint()}) == 4


def test_what_is_kept_stays_for_other_values_of_the_parameter_that_lists_it(repo):
    repo.write("demo", 'stage.scratch()\nprint(stage.kept("seed"), len(list(stage.kept("seed").iterdir())))\n'
               '(stage.kept("seed") / str(stage.params.seed)).touch()')  # fmt: skip
    params = repo.folder / "params.yaml"
    text = params.read_text()

    def kept():
        code, out, err = repo.run("demo")
        assert code == 0, err
        return out.splitlines()[0].split()

    folder, none = kept()
    params.write_text(re.sub(r"(?m)^seed: 0$", "seed: 1", text))
    assert (none, kept()) == ("0", [folder, "1"])
    assert [path.name for path in repo.scratch()] == [folder.rpartition("/")[2]]
    (repo.folder / "data" / "input.txt").write_text("changed")
    assert kept()[0] != folder


def test_under_dvc_the_hashes_of_outputs_come_from_the_lock(repo):
    repo.write("demo", PRINT)
    lock = {"stages": {"make": {"outs": [{"path": "data/input.txt", "md5": "a" * 32}]}}}
    (repo.folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    repo.environment["DVC_STAGE"] = "demo"
    before = repo.run("demo")[1]
    (repo.folder / "data" / "input.txt").unlink()
    assert repo.run("demo")[1] == before


def test_a_missing_input_says_how_to_make_it(repo):
    repo.write("demo", PRINT)
    (repo.folder / "data" / "input.txt").unlink()
    code, _, err = repo.run("demo")
    assert code == 1
    assert err == "ERROR demo: data/input.txt is missing: run `dvc repro` (or `dvc pull`) to make it\n"


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


def test_a_snapshot_runs_its_own_package(repo, root):
    """A queued experiment is a copy of the repository: its src comes before an installed one."""
    shutil.copytree(root / "src" / "difflab", repo.folder / "src" / "difflab")
    repo.write("demo", "import difflab\nprint(difflab.__file__)")
    repo.environment["PYTHONPATH"] = str(root / "src")
    _, out, _ = repo.run("demo")
    assert out.strip() == str(repo.folder / "src" / "difflab" / "__init__.py")


def test_help_shows_what_the_stage_does(repo):
    repo.write("demo", "pass")
    code, out, _ = repo.run("demo", "--help")
    assert code == 0
    assert "A stage for tests." in out
    assert out.startswith("usage: python -m stages.demo ")
    (repo.folder / "stages" / "study").mkdir()
    repo.write("study/demo", "pass")
    assert repo.run("study.demo", "--help")[1].startswith("usage: python -m stages.study.demo ")


@pytest.mark.parametrize(("held", "limit", "read"), [(0.5, 20, "whole"), (20, 0.2, "ha")])
def test_a_file_that_dvc_rewrites_is_read_between_two_writes(tmp_path, held, limit, read):
    """With DVC's own lock class in another process; a command that holds the lock for long is not waited for."""
    from difflab.core.base import stage

    script = (
        "import sys, time; from pathlib import Path; from dvc.lock import Lock\n"
        "with Lock('lock'):\n"
        "    Path('dvc.lock').write_text('ha'); print(flush=True); time.sleep(float(sys.argv[1]))\n"
        "    Path('dvc.lock').write_text('whole')"
    )
    command = [sys.executable, "-c", script, str(held)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        assert stage._read_alone(tmp_path / "dvc.lock", tmp_path / "lock", limit) == read
        writer.kill()


def test_a_warning_is_one_line_that_names_the_stage(repo):
    repo.write("demo", "import warnings\nwarnings.warn('few images')")
    code, _, err = repo.run("demo")
    assert code == 0
    assert "WARNING demo: few images\n" in err
    assert "demo.py" not in err


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
