"""Stages killed at random moments, and Ctrl-C: the same command goes on and gives the bytes of an undisturbed run.

`pytest -m long tests/study/test_interruption.py` kills 24 times, in the queue too, the normal run four times.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml

from difflab.core.base.files import read_json
from study.shell import environment, output_hashes, run

CELL = "finetune@blip2-minus"
STEPS = 80


@pytest.fixture
def longer(study: Path) -> Path:
    """The study with enough training steps in each cell to be met at work."""
    params = yaml.safe_load((study / "params.yaml").read_text())
    params["finetune"]["training"] |= {"steps": STEPS, "checkpoint_interval": 4, "validation_interval": 40}
    (study / "params.yaml").write_text(yaml.safe_dump(params))
    return study


@contextmanager
def started(folder: Path, *command: str) -> Iterator[subprocess.Popen]:
    """A command in a process group of its own, as in a terminal; nothing of it outlives the block."""
    with (folder / ".scratch" / "test.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            for one in [*stages(folder), process]:
                one.kill()
            process.wait()


def stages(folder: Path) -> list[psutil.Process]:
    """The living stage processes of a repository."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and any(w.startswith("stages.") for w in process.cmdline()):
                found.append(process)
        except psutil.Error:  # ended meanwhile
            continue
    return [p for p in found if "python" in p.name()]


def wait(condition, seconds: float = 300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    pytest.fail("waited in vain")


def repro(stage: str) -> list[str]:
    return ["dvc", "repro", "--force", "--single-item", stage]


def log(folder: Path) -> str:
    return (folder / ".scratch" / "test.log").read_text()


def state_of(folder: Path) -> list[Path]:
    return list((folder / ".scratch" / CELL).glob("*/training-*/*.safetensors"))


def forget_finished(folder: Path) -> None:
    """Remove the trainings that the cell has finished: to force it would find them again."""
    for kept in (folder / ".scratch" / CELL).glob("kept-*"):
        shutil.rmtree(kept)


def killed(folder: Path, stage: str, victim: str, moments: random.Random) -> None:
    """Start a stage, kill its process or DVC's (and then the orphan) at a random moment of its work."""
    seconds = read_json(folder / ".scratch" / "times" / f"{stage}.json")["seconds"]
    with started(folder, *repro(stage)) as dvc:
        process = wait(lambda: dvc.poll() is not None or stages(folder))
        if process is True:
            pytest.fail(log(folder))
        time.sleep(moments.uniform(0, seconds))
        with suppress(psutil.NoSuchProcess):  # it was quicker
            (dvc if victim == "dvc" else process[0]).send_signal(signal.SIGKILL)


def check(folder: Path, stage: str, victim: str, kills: int) -> None:
    expected = output_hashes(folder, stage)
    moments = random.Random(f"{stage} {victim} {kills}")
    for _ in range(kills):
        killed(folder, stage, victim, moments)
    run(folder, *repro(stage))
    assert output_hashes(folder, stage) == expected
    left = [path for path in folder.rglob(".*.????????") if ".dvc" not in path.parts and path.is_dir()]
    assert [p for p in left if ".scratch" not in p.parts] == []


@pytest.mark.parametrize(
    ("stage", "victim"), [("cache_latents", "stage"), ("caption_blip2", "dvc"), ("generate@minus", "stage")]
)
def test_a_killed_stage_gives_the_same_bytes(study, stage, victim):
    check(study, stage, victim, kills=1)


def test_an_orphan_is_refused_by_its_pid_and_a_killed_training_gives_the_same_bytes(longer):
    run(longer, "dvc", "repro", "--single-item", CELL)
    expected = output_hashes(longer, CELL)
    forget_finished(longer)
    with started(longer, *repro(CELL)) as dvc:
        wait(lambda: state_of(longer))
        (orphan,) = stages(longer)
        orphan.suspend()  # so that it is surely still there
        dvc.kill()
        dvc.wait()
        refused = run(longer, *repro(CELL), check=False)
        assert refused.returncode != 0
        assert f"{CELL} is already running as process {orphan.pid}: " in refused.stderr
        assert orphan.is_running()
    resumed = run(longer, *repro(CELL)).stdout
    assert re.search(r"resuming from step \d+", resumed)
    assert output_hashes(longer, CELL) == expected


@pytest.mark.long
@pytest.mark.parametrize("victim", ["stage", "dvc"])
@pytest.mark.parametrize("stage", ["cache_latents", "caption_blip2", "generate@minus", CELL])
def test_three_kills_in_a_row_give_the_same_bytes(longer, stage, victim):
    if stage == CELL:
        run(longer, "dvc", "repro", "--single-item", CELL)
        forget_finished(longer)
    check(longer, stage, victim, kills=3)


def test_ctrl_c_ends_it_with_its_state_saved(longer):
    at_work = [
        (repro(CELL), lambda: state_of(longer)),
        (
            ["difflab", "repro", "--jobs", "2", CELL],
            lambda: re.search(r"resuming from step.*\bstep \d+/", log(longer), re.DOTALL),
        ),
    ]
    for command, condition in at_work:
        with started(longer, *command) as process:
            wait(condition)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)
            wait(lambda: not stages(longer))
        assert process.returncode != 0
        assert "state saved" in log(longer)
        assert "Traceback" not in log(longer)


@pytest.mark.long
def test_a_queued_experiment_goes_on_too(longer):
    run(longer, "git", "commit", "-qam", "longer")
    more = ["-S", f"finetune.training.steps={STEPS}", "-S", "finetune.training.checkpoint_interval=4"]
    queue = ["dvc", "exp", "run", "--queue", *more, "-n"]
    run(longer, *queue, "first", CELL)
    run(longer, "dvc", "queue", "start")
    wait(lambda: state_of(longer))
    wait(lambda: [p.kill() for p in queued_stages(longer)] or None)
    wait(lambda: "Failed" in run(longer, "dvc", "queue", "status").stdout)
    run(longer, *queue, "second", CELL)
    run(longer, "dvc", "queue", "start")
    wait(lambda: "Success" in run(longer, "dvc", "queue", "status").stdout)
    assert "resuming from step" in run(longer, "dvc", "queue", "logs", "second").stdout


def queued_stages(folder: Path) -> list[psutil.Process]:
    """Stage processes of queued experiments: they work in a copy under .dvc/tmp/exps."""
    copies = folder / ".dvc" / "tmp" / "exps"
    return [p for copy in copies.glob("tmp*") for p in stages(copy)]
