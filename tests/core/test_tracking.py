"""Stages become MLflow runs, on a local database or a server, and no failure of MLflow reaches a stage."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from difflab.core import tracking, tracking_link


class Parameters:
    """The declared parameters of a stage, as far as tracking looks at them."""

    def __init__(self, enabled=True, **values):
        self.tracking = SimpleNamespace(enabled=enabled)
        self._values = values

    def as_dict(self):
        return self._values


def a_stage(address="finetune@blip2-minus", enabled=True, **values):
    values = values or {"finetune": {"steps": 10, "lora": {"blocks": [0, 1]}}, "seed": 0}
    return SimpleNamespace(
        address=address, params=Parameters(enabled, **values), fingerprint=lambda: "0123abcd"
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty repository."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "any")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A fresh database; making one takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    client(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(root, empty_store):
    """The database of the repository, made before."""
    shutil.copy(empty_store, root / "mlflow.db")
    return local(root)


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri)


def local(root):
    return client(f"sqlite:///{root / 'mlflow.db'}")


def runs(store):
    return store.search_runs([e.experiment_id for e in store.search_experiments()])


def history(store, run, metric):
    return [(m.step, m.value) for m in store.get_metric_history(run.info.run_id, metric)]


def wait_until(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.2)


def test_a_run_holds_what_the_stage_logged(root, store, monkeypatch, capfd):
    monkeypatch.setenv("DVC_EXP_NAME", "sweep-1")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "f" * 40)
    run = tracking.start(a_stage())
    (root / "plots").mkdir()
    (root / "plots" / "curve.csv").write_text("as logged")
    for step in range(2500):
        run.log_metrics({"loss": 1 / (step + 1), "broken": float("nan"), "name": "text"}, step=step)
    run.log_metrics({"fid": 3.5, "n": 150, "final_loss": 0.25})
    run.log_metrics({"final_loss": 2.0}, step=7)
    run.log_artifact("plots/curve.csv")
    (root / "plots" / "curve.csv").write_text("changed later")
    run.end("FINISHED")

    stored = next(r for r in runs(store) if "dvc.stage" in r.data.tags)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "finetune@blip2-minus:sweep-1"
    assert stored.data.params == {"finetune.steps": "10", "finetune.lora.blocks": "[0, 1]", "seed": "0"}
    expected = {"dvc.stage": "finetune@blip2-minus", "dvc.exp_name": "sweep-1", "dvc.baseline_rev": "f" * 40}
    assert expected.items() <= stored.data.tags.items()
    assert stored.data.tags["dvc.fingerprint"] == "0123abcd"
    assert history(store, stored, "loss") == [(s, 1 / (s + 1)) for s in range(2500)]
    assert stored.data.metrics == {"loss": 1 / 2500, "fid": 3.5, "n": 150, "final_loss": 0.25}
    assert stored.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    (artifact,) = (root / "mlartifacts").rglob("curve.csv")
    assert artifact.read_text() == "as logged"
    assert artifact.parent.name == "plots"
    assert capfd.readouterr() == ("", "")
    assert [p.name for p in (root / ".scratch" / "tracking").iterdir()] == ["lock"]
    assert not (root / "mlruns").exists()


def test_a_sweep_its_experiments_and_their_stages_are_a_tree(root, store, monkeypatch):
    for name in ("rank-1", "rank-2", "long"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        for stage in ("finetune@blip2-minus", "report"):
            tracking.start(a_stage(stage)).end("FINISHED")
    found = {r.info.run_id: r for r in runs(store)}
    above = {
        r.info.run_name: found[p].info.run_name if (p := r.data.tags.get("mlflow.parentRunId")) else None
        for r in found.values()
    }
    cells = {f"{s}:{e}": e for s in ("finetune@blip2-minus", "report") for e in ("rank-1", "rank-2", "long")}
    assert above == cells | {"rank-1": "rank", "rank-2": "rank", "rank": None, "long": None}
    assert len(found) == len(above), "each group is one run"
    assert {r.info.status for r in found.values()} == {"FINISHED"}
    of_one = store.search_runs(["1"], "tags.`dvc.exp_name` = 'rank-2'")
    assert {r.info.run_name for r in of_one} == {"rank-2", "finetune@blip2-minus:rank-2", "report:rank-2"}


def test_a_run_names_the_commit_it_was_made_from(root, store):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    tracking.start(a_stage("score")).end("FINISHED")
    (stored,) = runs(store)
    assert stored.data.tags["mlflow.source.git.commit"] == commit
    assert stored.info.run_name == f"score:{commit[:7]}"


def test_a_stage_that_goes_on_goes_on_in_its_run(root, store):
    scratch, spool = root / "scratch", root / ".scratch" / "tracking"
    scratch.mkdir()
    for steps, status in ((range(3), "KILLED"), (range(3, 6), "FINISHED")):
        run = tracking.start(a_stage())
        run.resume(scratch)
        for step in steps:
            run.log_metrics({"loss": float(step)}, step=step)
        run.end(status)
        wait_until(lambda: not list(spool.glob("run-*")), "an interrupted stage does not wait for this")
    (stored,) = runs(store)
    assert stored.info.status == "FINISHED"
    assert history(store, stored, "loss") == [(s, float(s)) for s in range(6)]


def test_a_scratch_folder_that_is_gone_stays_gone(root, store, capfd):
    run = tracking.start(a_stage())
    run.resume(root / "scratch")
    run.end("FINISHED")
    assert not (root / "scratch").exists()
    assert capfd.readouterr().err == ""


def test_six_stages_may_make_the_store_at_once(root, capfd):
    started = [tracking.start(a_stage(f"stage-{n}")) for n in range(6)]
    for n, run in enumerate(started):
        run.log_metrics({"n": n})
    for run in started:
        run.end("FINISHED")
    assert {r.data.tags["dvc.stage"]: r.data.metrics["n"] for r in runs(local(root))} == {
        f"stage-{n}": n for n in range(6)
    }
    assert capfd.readouterr().err == ""


def test_a_killed_stage_leaves_a_killed_run(root, store):
    script = (
        "import os, signal, test_tracking as t; from difflab.core import tracking\n"
        "run = tracking.start(t.a_stage()); run.log_metrics({'loss': 1.5}, step=7)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(tracking.__file__).parents[2])])
    stage = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert stage.returncode == -signal.SIGKILL
    folder = root / ".scratch" / "tracking"
    wait_until(lambda: not list(folder.glob("run-*")), "the recording process ends on its own")
    (stored,) = runs(store)
    assert stored.info.status == "KILLED"
    assert history(store, stored, "loss") == [(7, 1.5)]


def test_tracking_that_is_off_leaves_no_trace(root):
    run = tracking.start(a_stage(enabled=False))
    run.log_metrics({"loss": 1.0}, step=0)
    run.log_artifact("absent.png")
    run.end("FINISHED")
    assert list(root.iterdir()) == []


def test_a_recorder_that_hangs_is_given_up_with_one_line(root, monkeypatch, capfd):
    monkeypatch.setattr(tracking, "_WAIT_LOCAL", 0.5)
    monkeypatch.setattr(tracking, "_MAX_BACKLOG", 10_000)
    run = tracking.start(a_stage())
    os.kill(run._recorder.process.pid, signal.SIGSTOP)
    for step in range(5000):  # far more than a pipe holds
        run.log_metrics({"loss": 1.0}, step=step)
    run.end("FINISHED")
    assert run._recorder.process.returncode is not None
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("tracking: the records come faster than MLflow takes them; the stage goes on")


def test_a_recorder_that_dies_is_one_line(root, capfd):
    run = tracking.start(a_stage())
    run._recorder.process.kill()
    run._recorder.process.wait()
    for step in range(3):
        run.log_metrics({"loss": 1.0}, step=step)
    run.log_artifact("absent.png")
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert "the stage goes on without MLflow" in line


def test_one_process_records_several_stages_at_once(root, store, monkeypatch, capfd):
    with tracking_link.shared_recorder() as variables:
        for name, value in variables.items():
            wait_until(Path(value).exists, "the recorder")
            monkeypatch.setenv(name, value)
        stages = [tracking.start(a_stage(f"finetune@{i}")) for i in range(3)]
        for i, run in enumerate(stages):
            run.log_metrics({"loss": i}, step=0)
        for run in stages[:2]:
            run.end("FINISHED")
        del stages[2]._recorder._socket  # killed: its end of the connection is closed
        gc.collect()
    found = {run.data.tags["dvc.stage"]: (run.info.status, run.data.metrics) for run in runs(store)}
    assert found == {
        "finetune@0": ("FINISHED", {"loss": 0}),
        "finetune@1": ("FINISHED", {"loss": 1}),
        "finetune@2": ("KILLED", {"loss": 2}),
    }
    assert capfd.readouterr().err == ""
    assert not list((root / ".scratch" / "tracking").glob("run-*"))


def test_a_shared_recorder_that_dies_is_one_line_for_each_stage(root, store, monkeypatch, capfd):
    with tracking_link.shared_recorder() as variables:
        (path,) = variables.values()
        wait_until(Path(path).exists, "the recorder")
        monkeypatch.setenv(*variables.keys(), path)
        run = tracking.start(a_stage())
        (pid,) = subprocess.run(
            ["pgrep", "-f", path], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(pid), signal.SIGKILL)
        run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert "the stage goes on without MLflow" in line


def test_a_shared_recorder_that_hangs_does_not_hold_the_study(root, monkeypatch):
    monkeypatch.setattr(tracking_link, "_WAIT_END", 0.5)
    with tracking_link.shared_recorder() as variables:
        (path,) = variables.values()
        wait_until(Path(path).exists, "the recorder")
        (pid,) = subprocess.run(
            ["pgrep", "-f", path], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(pid), signal.SIGSTOP)
    assert not Path("/proc", pid).exists()


def test_a_shared_recorder_that_is_gone_is_replaced_by_one_of_its_own(root, store, monkeypatch):
    monkeypatch.setenv(tracking_link.SOCKET_VARIABLE, str(root / "gone"))
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    assert [r.info.status for r in runs(store)] == ["FINISHED"]


def test_a_server_that_is_not_there_is_one_line(root, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert "the stage goes on without MLflow" in line
    assert not (root / "mlflow.db").exists()


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


@pytest.fixture
def server(root, empty_store, monkeypatch):
    """A real tracking server on this machine: its address and its process."""
    folder, port = root / "server", free_port()
    folder.mkdir()
    shutil.copy(empty_store, folder / "server.db")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--artifacts-destination", str(folder / "artifacts")],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    uri = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    try:
        wait_until(lambda: answers(uri), "the server answers")
        yield uri, process
    finally:
        stop(process)


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_records_the_same_as_a_local_store(server, root, capfd):
    uri, _ = server
    run = tracking.start(a_stage())
    for step in range(1500):
        run.log_metrics({"loss": float(step)}, step=step)
    (root / "grid.png").write_bytes(b"png")
    run.log_artifact("grid.png")
    run.end("FINISHED")
    store = client(uri)
    (stored,) = runs(store)
    assert stored.info.status == "FINISHED"
    assert stored.data.params["finetune.steps"] == "10"
    assert history(store, stored, "loss") == [(s, float(s)) for s in range(1500)]
    assert [a.path for a in store.list_artifacts(stored.info.run_id)] == ["grid.png"]
    assert [p.read_bytes() for p in (root / "server").rglob("grid.png")] == [b"png"]
    assert not (root / "mlflow.db").exists()
    assert capfd.readouterr().err == ""


def test_a_server_that_dies_in_the_middle_costs_one_line(server, root, monkeypatch, capfd):
    uri, process = server
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 2.0}, step=0)
    wait_until(lambda: runs(client(uri)), "the run is there")
    stop(process)
    for step in range(1, 2000):
        run.log_metrics({"loss": 1.0}, step=step)
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert "the stage goes on without MLflow" in line
