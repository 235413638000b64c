"""A stage in several processes: how many, what a person sees of them, and how they end."""

import os
import re
import signal

import psutil
import pytest
import torch

from difflab.core.base import processes
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from fakes.small_stages import wait

CHUNKS = """\
import os, signal, sys, time, warnings
from pathlib import Path
from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import process_index
from difflab.core.base.sharding import process_chunks
def work(ids, path):
    if not Path("mended").exists():
        AT_WORK
    path.write_text(f"{ids[0]} by {process_index()[0]}")
print("seen once")
warnings.warn("warned once")
paths = process_chunks([f"id-{n}" for n in range(5)], 1, stage.scratch(), work, what="things")
if paths:
    Path("result").write_text(",".join(path.read_text() for path in paths))
    stage.done("wrote result")
"""


@pytest.fixture
def split(repo):
    """The stage `demo`, whose work over ids is split; `AT_WORK` is done for each id."""

    def split(at_work="pass", processes=2):
        repo.write("demo", CHUNKS.replace("AT_WORK", at_work))
        script = repo.folder / "stages" / "demo.py"
        script.write_text(script.read_text().replace("run(main)", "run(main, split=True)"))
        take(repo, processes)
        pipeline = repo.folder / "dvc.yaml"
        pipeline.write_text(pipeline.read_text().replace("- split", "- runtime"))
        return repo

    return split


def take(repo, processes):
    params = repo.folder / "params.yaml"
    params.write_text(re.sub(r"processes: \w+", f"processes: {processes}", params.read_text()))


def run_again_mended(repo):
    """By one process, after several were stopped."""
    (repo.folder / "mended").touch()
    take(repo, 1)
    return repo.run("demo")


def test_the_main_process_alone_speaks_and_writes_for_all(split):
    repo = split(processes=3)
    code, out, err = repo.run("demo")
    assert (code, err) == (0, "WARNING demo: warned once\n")
    assert out.startswith("seen once\ndemo: wrote result (")
    assert out.count("\n") == 2
    assert (repo.folder / "result").read_text() == "id-0 by 0,id-1 by 1,id-2 by 2,id-3 by 0,id-4 by 1"
    assert not repo.scratch()
    assert read_json(repo.folder / ".scratch" / "times" / "demo.json")["status"] == "FINISHED"


def test_one_process_is_the_stage_itself_without_torch(split):
    repo = split("assert 'torch' not in sys.modules and 'WORLD_SIZE' not in os.environ", processes=1)
    assert repo.run("demo")[0] == 0
    assert (repo.folder / "result").read_text() == "id-0 by 0,id-1 by 0,id-2 by 0,id-3 by 0,id-4 by 0"


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("raise DifflabError('its input is damaged')", "ERROR demo: its input is damaged"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "ERROR demo: process 1 was ended by SIGKILL, perhaps because the memory was full: run the same command to go "
            "on, or with fewer processes (runtime.processes)",
        ),
    ],
)
def test_a_process_that_fails_ends_the_stage_with_its_one_line(split, end, line):
    repo = split(f"if ids[0] == 'id-3': {end}")
    code, _, err = repo.run("demo")
    assert code == 1
    assert [said for said in err.splitlines() if not said.startswith("WARNING")] == [line]
    assert not (repo.folder / "result").exists()
    assert read_json(repo.folder / ".scratch" / "times" / "demo.json")["status"] == "FAILED"
    (folder,) = repo.scratch()
    assert "id-1 by 1" in {path.read_text() for path in (folder / "things").iterdir() if path.is_file()}
    code, out, _ = run_again_mended(repo)
    assert code == 0
    assert "chunks are there from an interrupted run" in out


def test_ctrl_c_stops_all_of_them_and_the_next_run_goes_on(split):
    repo = split("if ids[0] > 'id-1': Path(f'at-{ids[0]}').touch(); time.sleep(900)")
    process = repo.start("demo")
    wait(lambda: len(list(repo.folder.glob("at-*"))) == 2 or process.poll() is not None, seconds=300)
    workers = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert [said for said in err.splitlines() if not said.startswith("WARNING")] == [
        "demo: things stopped with its state saved: run the same command to go on"
    ]
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)
    assert run_again_mended(repo)[0] == 0
    assert (repo.folder / "result").read_text() == "id-0 by 0,id-1 by 1,id-2 by 0,id-3 by 0,id-4 by 0"


def test_a_stage_that_cannot_be_split_is_refused_under_a_launcher(repo):
    repo.write("demo", "pass")
    repo.environment |= {"RANK": "0", "WORLD_SIZE": "2"}
    code, _, err = repo.run("demo")
    assert (code, err) == (1, "ERROR demo: demo works in one process: start it without a launcher\n")


@pytest.mark.parametrize(
    ("gpus", "setting", "device", "count"),
    [
        (0, "auto", "auto", 1), (0, 3, "cpu", 3), (0, 3, "auto", 3), (8, "auto", "auto", 8), (8, "auto", "cpu", 1),
        (8, "auto", "cuda:1", 1), (8, "auto", "cuda", 8), (8, 2, "auto", 2), (8, 1, "auto", 1),
    ],
)  # fmt: skip
def test_auto_is_a_process_for_each_visible_gpu(monkeypatch, gpus, setting, device, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert processes.wanted(setting, device) == count


def test_a_process_of_a_launch_starts_no_other(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert processes.wanted(8, "cpu") == 1


@pytest.mark.parametrize(
    ("setting", "device", "line"),
    [
        (4, "auto", "runtime.processes is 4, but this machine shows 2 GPUs: set it to auto"),
        (2, "cuda:1", "runtime.processes is 2, but runtime.device names the one device 'cuda:1': set it to auto"),
        (2, "mps", "runtime.processes is 2, but runtime.device names the one device 'mps': set it to auto"),
    ],
)
def test_more_processes_than_devices_are_refused(monkeypatch, setting, device, line):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DifflabError, match=line):
        processes.wanted(setting, device)


def test_nothing_of_a_launch_is_left_in_the_environment():
    assert processes.SAID not in os.environ
