"""Stages become MLflow runs, on a local database or a server, and no failure of MLflow reaches a stage."""

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

from difflab.core import recorder, tracking
from difflab.core.params import loading

PIPELINE = """
stages:
  finetune:
    matrix: {captions: [blip2, llama3], logit_mean: [minus, zero]}
    cmd: python -m stages.sd3.finetune --captions ${item.captions} --logit-mean ${item.logit_mean}
    outs: [models/finetune, "plots/grids/${item.captions}.png", plots/many]
    plots: [plots/finetune.csv: {cache: false, x: step}]
  score: {cmd: python -m stages.sd3.score}
  report: {cmd: python -m stages.report.report}
  vary: {cmd: python -m stages.sd3.finetune --as vary --captions blip2}
"""


class Parameters:
    """The declared parameters of a stage, as far as tracking looks at them."""

    def __init__(self, enabled):
        self.tracking = SimpleNamespace(enabled=enabled)

    def as_dict(self):
        return {"finetune": {"steps": 10, "lora": {"blocks": [0, 1]}}, "seed": 0}


def a_stage(name="finetune", enabled=True, **item):
    """The running stage of PIPELINE; a cell of `finetune` is blip2-minus if nothing else is said."""
    if name == "finetune":
        item = {"captions": "blip2", "logit_mean": "minus", **item}
    return SimpleNamespace(
        address=name + ("@" + "-".join(item.values()) if item else ""),
        entry_name=name,
        item=item,
        params=Parameters(enabled),
        fingerprint=lambda: "0123abcd",
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty repository."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "any")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    loading.read_pipeline.cache_clear()
    yield tmp_path
    loading.read_pipeline.cache_clear()
    for pid in recorder_of(tmp_path):
        os.kill(pid, signal.SIGKILL)


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


def spool(root):
    """The files that no recorder has stored yet."""
    return sorted((root / ".scratch" / "tracking").glob("*.jsonl"))


def recorder_of(root):
    """The process that records this repository."""
    found = subprocess.run(
        ["pgrep", "-f", f"difflab.core.recorder {root}/.scratch"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def wait_until(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.2)


def test_a_run_holds_what_the_stage_logged(root, store, monkeypatch, capfd):
    monkeypatch.setenv("DVC_EXP_NAME", "sweep-1")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "f" * 40)
    run = tracking.start(a_stage())
    for step in range(2500):
        run.log_metrics({"loss": 1 / (step + 1), "broken": float("nan"), "name": "text"}, step=step)
    run.log_metrics({"fid": 3.5, "n": 150, "loss": 0.25})
    run.end("FINISHED")

    stored = next(r for r in runs(store) if "dvc.stage" in r.data.tags)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "finetune@blip2-minus:sweep-1"
    assert stored.data.params == {
        "finetune.steps": "10", "finetune.lora.blocks": "[0, 1]", "seed": "0",
        "cell.captions": "blip2", "cell.logit_mean": "minus",
    }  # fmt: skip
    expected = {
        "dvc.stage": "finetune@blip2-minus", "dvc.exp_name": "sweep-1", "dvc.baseline_rev": "f" * 40,
        "dvc.fingerprint": "0123abcd", "difflab.study": "sd3",
    }  # fmt: skip
    assert expected.items() <= stored.data.tags.items()
    assert history(store, stored, "curve/loss") == [(s, 1 / (s + 1)) for s in range(2500)]
    assert stored.data.metrics == {"curve/loss": 1 / 2500, "fid": 3.5, "n": 150, "loss": 0.25}
    assert capfd.readouterr() == ("", "")
    assert spool(root) == []
    assert not (root / "mlruns").exists()


def test_pictures_and_pages_that_a_stage_declares_are_artifacts(root, store):
    for name in ("plots/grids/blip2.png", "plots/grids/other.png", "plots/finetune.csv", "plots/many/a.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    tracking.start(a_stage()).end("FINISHED")
    tracking.start(a_stage(captions="llama3")).end("FAILED")
    first, failed = sorted(runs(store), key=lambda run: run.info.start_time)
    assert first.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    folder = Path(first.info.artifact_uri.removeprefix("file://"))
    stored = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert stored == {name: name for name in ("plots/grids/blip2.png", "plots/many/a.png")}
    assert store.list_artifacts(failed.info.run_id) == []


def test_runs_are_grouped_by_study(root, store):
    for name in ("finetune", "score", "report"):
        tracking.start(a_stage(name)).end("FINISHED")
    names = {e.experiment_id: e.name for e in store.search_experiments()}
    found = {run.data.tags["dvc.stage"]: names[run.info.experiment_id] for run in runs(store)}
    assert found == {
        "finetune@blip2-minus": "difflab/sd3", "score": "difflab/sd3", "report": "difflab/report",
    }  # fmt: skip


def test_a_stage_run_under_another_name_has_that_entrys_cell(root):
    record = tracking.start_record("vary", "accelerate launch -m stages.sd3.x --as vary --logit-mean a", {}, {})
    assert record["params"] == {"cell.logit_mean": "a"}
    assert record["tags"] == {"dvc.stage": "vary", "difflab.study": "sd3"}


def test_only_the_first_process_of_a_launch_records(root, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    tracking.start(a_stage()).end("FINISHED")
    assert not (root / ".scratch").exists()


def test_a_sweep_its_experiments_and_their_stages_are_a_tree(root, store, monkeypatch):
    for name in ("rank-1", "rank-2", "long"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        for stage in ("finetune", "score"):
            tracking.start(a_stage(stage)).end("FINISHED")
    found = {r.info.run_id: r for r in runs(store)}
    above = {
        r.info.run_name: found[p].info.run_name if (p := r.data.tags.get("mlflow.parentRunId")) else None
        for r in found.values()
    }
    cells = {f"{s}:{e}": e for s in ("finetune@blip2-minus", "score") for e in ("rank-1", "rank-2", "long")}
    assert above == cells | {"rank-1": "rank", "rank-2": "rank", "rank": None, "long": None}
    assert len(found) == len(above), "each group is one run"
    assert {r.info.status for r in found.values()} == {"FINISHED"}
    (experiment,) = {r.info.experiment_id for r in found.values()}
    of_one = store.search_runs([experiment], "tags.`dvc.exp_name` = 'rank-2'")
    assert {r.info.run_name for r in of_one} == {"rank-2", "finetune@blip2-minus:rank-2", "score:rank-2"}


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
    for steps, status in ((range(3), "KILLED"), (range(3, 6), "FINISHED"), (range(1), "FINISHED")):
        run = tracking.start(a_stage())
        run.resume(root / "state")
        for step in steps:
            run.log_metrics({"loss": float(step)}, step=step)
        run.end(status)
        wait_until(lambda: not spool(root), "an interrupted stage does not wait for this")
    first, again = sorted(runs(store), key=lambda run: run.info.start_time)
    assert first.info.status == again.info.status == "FINISHED"
    assert history(store, first, "curve/loss") == [(s, float(s)) for s in range(6)]
    assert history(store, again, "curve/loss") == [(0, 0.0)], "a finished run is not continued"


def test_six_stages_at_once_make_the_store_and_share_one_recorder(root, capfd):
    cells = [{"captions": c, "logit_mean": m} for c in ("blip2", "llama3") for m in ("minus", "zero")]
    stages = [*(a_stage(**cell) for cell in cells), a_stage("score"), a_stage("report")]
    started = [tracking.start(stage) for stage in stages]
    for n, run in enumerate(started):
        run.log_metrics({"n": n})
    wait_until(lambda: len(recorder_of(root)) == 1, "the others find that one is there")
    for run in started:
        run.end("FINISHED")
    assert {r.data.tags["dvc.stage"]: r.data.metrics["n"] for r in runs(local(root))} == {
        stage.address: n for n, stage in enumerate(stages)
    }
    assert capfd.readouterr().err == ""


def test_curves_are_seen_while_the_stage_runs(root, store):
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    wait_until(lambda: runs(store), "the run is there")
    run.log_metrics({"loss": 0.5}, step=1)
    wait_until(lambda: runs(store)[0].data.metrics.get("curve/loss") == 0.5, "the second point", 30)
    assert runs(store)[0].info.status == "RUNNING"
    run.end("FINISHED")


def test_a_killed_stage_leaves_a_killed_run(root, store):
    script = (
        "import os, signal, test_tracking as t; from difflab.core import tracking\n"
        "run = tracking.start(t.a_stage()); run.log_metrics({'loss': 1.5}, step=7)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(tracking.__file__).parents[2])])
    stage = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert stage.returncode == -signal.SIGKILL
    wait_until(lambda: not spool(root), "the recorder sees that the stage is gone")
    (stored,) = runs(store)
    assert stored.info.status == "KILLED"
    assert history(store, stored, "curve/loss") == [(7, 1.5)]


def test_tracking_that_is_off_leaves_no_trace(root):
    run = tracking.start(a_stage(enabled=False))
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    assert [path.name for path in root.iterdir()] == ["dvc.yaml"]


def test_a_recorder_that_hangs_is_given_up_with_one_line(root, monkeypatch, capfd):
    monkeypatch.setattr(tracking, "_WAIT", 0.5)
    run = tracking.start(a_stage())
    os.kill(run._recorder.pid, signal.SIGSTOP)
    for step in range(5000):
        run.log_metrics({"loss": 1.0}, step=step)
    run.end("FINISHED")
    run._recorder.kill()
    (line,) = capfd.readouterr().err.splitlines()
    assert line == "tracking: no answer within 0 s; the stage goes on without MLflow"


def test_a_recorder_that_dies_is_replaced_and_nothing_is_there_twice(root, store, capfd):
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


def test_a_recorder_that_cannot_start_is_one_line(root, monkeypatch, capfd):
    monkeypatch.setattr(tracking.sys, "executable", "/bin/false")
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("tracking: the recording process does not start (log: ")


def test_a_recorder_that_nobody_needs_ends(root, store, monkeypatch):
    monkeypatch.setattr(recorder, "_LINGER", 0.3)
    folder = root / ".scratch" / "tracking"
    run = tracking.start(a_stage())
    os.kill(run._recorder.pid, signal.SIGKILL)
    run._recorder.wait()
    run.log_metrics({"loss": 1.0}, step=0)
    run._stream.close()  # as if the stage had been killed
    recorder.serve(folder)
    assert [r.info.status for r in runs(store)] == ["KILLED"]
    assert spool(root) == []


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
    (root / "plots/grids").mkdir(parents=True)
    (root / "plots/grids/blip2.png").write_bytes(b"png")
    run.end("FINISHED")
    store = client(uri)
    (stored,) = runs(store)
    assert stored.info.status == "FINISHED"
    assert stored.data.params["finetune.steps"] == "10"
    assert history(store, stored, "curve/loss") == [(s, float(s)) for s in range(1500)]
    assert [a.path for a in store.list_artifacts(stored.info.run_id, "plots/grids")] == ["plots/grids/blip2.png"]
    assert [p.read_bytes() for p in (root / "server").rglob("blip2.png")] == [b"png"]
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
