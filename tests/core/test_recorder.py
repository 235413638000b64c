"""No failure of the recorder or of a server reaches a stage; a server records the same as a local database."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from core.recording import a_stage, client, history, runs, spool, wait_until
from difflab.core import recorder, tracking


def test_a_killed_stage_leaves_a_killed_run(repo, store):
    script = (
        "import os, signal, core.recording as t; from difflab.core import tracking\n"
        "run = tracking.start(t.a_stage()); run.log_metrics({'loss': 1.5}, step=7)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(tracking.__file__).parents[2])])
    stage = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert stage.returncode == -signal.SIGKILL
    wait_until(lambda: not spool(repo), "the recorder sees that the stage is gone")
    (stored,) = runs(store)
    assert stored.info.status == "KILLED"
    assert history(store, stored, "curve/loss") == [(7, 1.5)]


def test_a_recorder_that_hangs_is_given_up_with_one_line(repo, monkeypatch, capfd):
    monkeypatch.setattr(tracking, "_WAIT", 0.5)
    run = tracking.start(a_stage())
    os.kill(run._recorder.pid, signal.SIGSTOP)
    for step in range(5000):
        run.log_metrics({"loss": 1.0}, step=step)
    run.end("FINISHED")
    run._recorder.kill()
    (line,) = capfd.readouterr().err.splitlines()
    assert line == "tracking: no answer within 0 s; the stage goes on without MLflow"


def test_a_recorder_that_dies_is_replaced_and_nothing_is_there_twice(repo, store, capfd):
    run = tracking.start(a_stage())
    for step in range(3):
        run.log_metrics({"loss": 1.0}, step=step)
    wait_until(lambda: runs(store) and history(store, runs(store)[0], "curve/loss"), "the curve is stored")
    run._recorder.kill()
    run._recorder.wait()
    run.log_metrics({"loss": 1.0}, step=3)
    run.end("FINISHED")
    (stored,) = runs(store)
    assert stored.info.status == "FINISHED"
    assert history(store, stored, "curve/loss") == [(step, 1.0) for step in range(4)]
    assert capfd.readouterr().err == ""


def test_a_recorder_that_cannot_start_is_one_line(repo, monkeypatch, capfd):
    monkeypatch.setattr(tracking.sys, "executable", "/bin/false")
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("tracking: the recording process does not start (log: ")


def test_a_recorder_that_nobody_needs_ends(repo, store, monkeypatch):
    monkeypatch.setattr(recorder, "_LINGER", 0.3)
    folder = repo / ".scratch" / "tracking"
    run = tracking.start(a_stage())
    os.kill(run._recorder.pid, signal.SIGKILL)
    run._recorder.wait()
    run.log_metrics({"loss": 1.0}, step=0)
    run._stream.close()  # as if the stage had been killed
    recorder.serve(folder)
    assert [r.info.status for r in runs(store)] == ["KILLED"]
    assert spool(repo) == []


def test_a_server_that_is_not_there_is_one_line(repo, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert "the stage goes on without MLflow" in line
    assert not (repo / "mlflow.db").exists()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(uri):
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(empty_store, tmp_path_factory):
    """A real tracking server on this machine: its address, its process and its folder. The last test stops it."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    shutil.copy(empty_store, folder / "server.db")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--artifacts-destination", str(folder / "artifacts")],
            cwd=folder,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # processes of its own, of no use here
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(uri), "the server answers")
        yield uri, process, folder
    finally:
        stop(process)


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_records_the_same_as_a_local_store(server, repo, monkeypatch, capfd):
    uri, _, folder = server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # a busy machine is no failure
    run = tracking.start(a_stage())
    for step in range(1500):
        run.log_metrics({"loss": float(step)}, step=step)
    (repo / "plots/grids").mkdir(parents=True)
    (repo / "plots/grids/blip2.png").write_bytes(b"png")
    run.end("FINISHED")
    store = client(uri)
    (stored,) = runs(store)
    assert stored.info.status == "FINISHED"
    assert stored.data.params["finetune.steps"] == "10"
    assert history(store, stored, "curve/loss") == [(s, float(s)) for s in range(1500)]
    assert [a.path for a in store.list_artifacts(stored.info.run_id, "plots/grids")] == ["plots/grids/blip2.png"]
    assert [p.read_bytes() for p in folder.rglob("blip2.png")] == [b"png"]
    assert not (repo / "mlflow.db").exists()
    assert capfd.readouterr().err == ""


def test_a_server_that_dies_in_the_middle_costs_one_line(server, repo, monkeypatch, capfd):
    uri, process, _ = server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run = tracking.start(a_stage("score"))
    run.log_metrics({"loss": 2.0}, step=0)
    wait_until(lambda: [r for r in runs(client(uri)) if r.data.tags["dvc.stage"] == "score"], "the run is there")
    stop(process)
    for step in range(1, 2000):
        run.log_metrics({"loss": 1.0}, step=step)
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert "the stage goes on without MLflow" in line


def test_a_damaged_file_of_another_stage_keeps_no_run_from_its_store(repo, store, capfd):
    folder = repo / ".scratch" / "tracking"
    folder.mkdir(parents=True)
    (folder / "0-left.jsonl").write_bytes(bytes(4) + b"\n")
    tracking.start(a_stage("score")).end("FINISHED")
    assert [run.info.status for run in runs(store)] == ["FINISHED"]
    assert (folder / "0-left.failed").read_text().startswith("JSONDecodeError")
    assert not (folder / "0-left.jsonl").exists()
    assert capfd.readouterr().err == ""
