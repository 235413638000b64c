import json
import subprocess
import sys
import time
from dataclasses import asdict

import psutil
import pytest

from difflab.app.personalise import job, process
from difflab.app.personalise.job import Progress, progress
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_json
from fakes.personalised import WISH


@pytest.fixture
def asked(five):
    """A job of which nothing but the wish is there."""
    write_json(five.job / job.WISH, asdict(WISH))
    return five.job


@pytest.fixture
def alive(asked):
    """A process that counts as the job's."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    write_json(asked / job.PROCESS, {"pid": started.pid, "created": psutil.Process(started.pid).create_time()})
    yield started
    started.kill()
    started.wait()


def log(folder, *lines, begun=None):
    begun = time.time() - 10 if begun is None else begun
    with (folder / process.LOG).open("a") as stream:
        stream.writelines(json.dumps([begun + n, line]) + "\n" for n, line in enumerate(lines))


def step(number):
    return f"personal lora_none-4-subject-0: step {number}/60, samples {8 * number}, train_loss 0.4"


def test_without_a_job_there_is_no_progress(five):
    assert progress(five.job) == Progress("none")


def test_a_job_waits_prepares_trains_and_measures(asked, alive):
    log(asked, "waiting")
    assert progress(asked).state == "waiting"
    log(asked, "preparing")
    assert progress(asked).state == "preparing"
    log(asked, "running", "> python -m stages.personal.personal")
    assert progress(asked).state == "preparing"
    log(asked, step(1))
    assert progress(asked) == Progress("training", 1, 60)
    log(asked, step(60))
    assert progress(asked).state == "measuring"


def test_the_time_left_is_that_of_the_steps_so_far(asked, alive):
    log(asked, step(10), step(20), step(30), begun=time.time() - 2)  # ten steps a second, thirty are left
    assert progress(asked).seconds_left == pytest.approx(3, abs=0.5)


def test_a_line_that_is_half_written_is_passed_over(asked, alive):
    log(asked, step(2))
    with (asked / process.LOG).open("a") as stream:
        stream.write('[1.0, "personal lora')
    assert progress(asked).step == 2


def test_a_job_without_its_process_was_interrupted(asked, alive):
    log(asked, step(2))
    alive.kill()
    alive.wait()
    assert progress(asked) == Progress("interrupted", 2, 60, None, step(2))


def test_another_process_of_the_same_number_is_not_the_job(asked, alive):
    told = json.loads((asked / job.PROCESS).read_text())
    write_json(asked / job.PROCESS, told | {"created": told["created"] + 3600})  # as after a restart of the machine
    assert progress(asked).state == "interrupted"


@pytest.mark.parametrize(("reason", "state"), [("", "done"), ("the disk is full: free some space", "failed")])
def test_how_a_job_ended_is_known_without_its_process(asked, reason, state):
    write_json(asked / process.OUTCOME, {"reason": reason})
    assert (progress(asked).state, progress(asked).reason) == (state, reason)


def test_a_second_training_is_refused_while_one_runs(five, asked, alive):
    with pytest.raises(DifflabError, match="a training runs already"):
        job.start(five, WISH, {})
    assert alive.poll() is None


def test_cancelling_ends_every_process_and_leaves_the_pictures(five, asked, alive):
    job.cancel(five)
    assert alive.poll() is not None
    assert not asked.exists()
    assert len(five.pictures()) == 5


def test_what_cannot_be_trained_starts_nothing_and_keeps_the_last_result(five, asked):
    write_json(asked / process.OUTCOME, {"reason": ""})
    five.remove(five.pictures()[0])
    for picture in five.pictures()[:2]:
        five.remove(picture)
    with pytest.raises(DifflabError, match="2 pictures are too few"):
        job.start(five, WISH, {})
    assert progress(asked).state == "done"


@pytest.mark.parametrize("reason", ["the disk is full: free some space", None])
def test_what_has_failed_or_was_ended_goes_on_and_nothing_else_does(five, asked, monkeypatch, reason):
    launched = []
    monkeypatch.setattr(job, "_launch", launched.append)
    if reason:
        write_json(asked / process.OUTCOME, {"reason": reason})
    job.go_on(five)
    assert launched == [asked]
    assert not (asked / process.OUTCOME).exists()
    write_json(asked / process.OUTCOME, {"reason": ""})
    job.go_on(five)
    assert launched == [asked]
    assert progress(asked).state == "done"
