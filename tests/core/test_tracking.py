"""Stages become MLflow runs in a local database."""

import subprocess
from pathlib import Path

from core.recording import a_stage, history, local, recorder_of, runs, spool, wait_until
from difflab.core import tracking


def test_a_run_holds_what_the_stage_logged(repo, store, monkeypatch, capfd):
    monkeypatch.setenv("DVC_EXP_NAME", "sweep-1")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "f" * 40)
    run = tracking.start(a_stage())
    for step in range(2500):
        run.log_metrics({"loss": 1 / (step + 1), "broken": float("nan"), "absent": None, "name": "text"}, step=step)
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
    assert spool(repo) == []
    assert not (repo / "mlruns").exists()


def test_pictures_and_pages_that_a_stage_declares_are_artifacts(repo, store):
    for name in ("plots/grids/blip2.png", "plots/grids/other.png", "plots/finetune.csv", "plots/many/a.png"):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(name)
    tracking.start(a_stage()).end("FINISHED")
    tracking.start(a_stage(captions="llama3")).end("FAILED")
    first, failed = sorted(runs(store), key=lambda run: run.info.start_time)
    assert first.info.artifact_uri.startswith((repo / "mlartifacts").as_uri())
    folder = Path(first.info.artifact_uri.removeprefix("file://"))
    stored = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert stored == {name: name for name in ("plots/grids/blip2.png", "plots/many/a.png")}
    assert store.list_artifacts(failed.info.run_id) == []


def test_runs_are_grouped_by_study(repo, store):
    for name in ("finetune", "score", "report"):
        tracking.start(a_stage(name)).end("FINISHED")
    names = {e.experiment_id: e.name for e in store.search_experiments()}
    found = {run.data.tags["dvc.stage"]: names[run.info.experiment_id] for run in runs(store)}
    assert found == {
        "finetune@blip2-minus": "difflab/sd3", "score": "difflab/sd3", "report": "difflab/report",
    }  # fmt: skip


def test_a_stage_run_under_another_name_has_that_entrys_cell(repo):
    record = tracking.start_record("vary", "accelerate launch -m stages.sd3.x --as vary --logit-mean a", {}, {})
    assert record["params"] == {"cell.logit_mean": "a"}
    assert record["tags"] == {"dvc.stage": "vary", "difflab.study": "sd3"}


def test_only_the_first_process_of_a_launch_records(repo, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    tracking.start(a_stage()).end("FINISHED")
    assert not (repo / ".scratch").exists()


def test_a_sweep_its_experiments_and_their_stages_are_a_tree(repo, store, monkeypatch):
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


def test_a_run_names_the_commit_it_was_made_from(repo, store):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(repo)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    tracking.start(a_stage("score")).end("FINISHED")
    (stored,) = runs(store)
    assert stored.data.tags["mlflow.source.git.commit"] == commit
    assert stored.info.run_name == f"score:{commit[:7]}"


def test_a_stage_that_goes_on_goes_on_in_its_run(repo, store):
    for steps, status in ((range(3), "KILLED"), (range(3, 6), "FINISHED"), (range(1), "FINISHED")):
        run = tracking.start(a_stage())
        run.resume(repo / "state")
        for step in steps:
            run.log_metrics({"loss": float(step)}, step=step)
        run.end(status)
        wait_until(lambda: not spool(repo), "an interrupted stage does not wait for this")
    first, again = sorted(runs(store), key=lambda run: run.info.start_time)
    assert first.info.status == again.info.status == "FINISHED"
    assert history(store, first, "curve/loss") == [(s, float(s)) for s in range(6)]
    assert history(store, again, "curve/loss") == [(0, 0.0)], "a finished run is not continued"


def test_six_stages_at_once_make_the_store_and_share_one_recorder(repo, capfd):
    cells = [{"captions": c, "logit_mean": m} for c in ("blip2", "llama3") for m in ("minus", "zero")]
    stages = [*(a_stage(**cell) for cell in cells), a_stage("score"), a_stage("report")]
    started = [tracking.start(stage) for stage in stages]
    for n, run in enumerate(started):
        run.log_metrics({"n": n})
    wait_until(lambda: len(recorder_of(repo)) == 1, "the others find that one is there")
    for run in started:
        run.end("FINISHED")
    assert {r.data.tags["dvc.stage"]: r.data.metrics["n"] for r in runs(local(repo))} == {
        stage.address: n for n, stage in enumerate(stages)
    }
    assert capfd.readouterr().err == ""


def test_curves_are_seen_while_the_stage_runs(repo, store):
    run = tracking.start(a_stage())
    run.log_metrics({"loss": 1.0}, step=0)
    wait_until(lambda: runs(store), "the run is there")
    run.log_metrics({"loss": 0.5}, step=1)
    wait_until(lambda: runs(store)[0].data.metrics.get("curve/loss") == 0.5, "the second point", 30)
    assert runs(store)[0].info.status == "RUNNING"
    run.end("FINISHED")


def test_tracking_that_is_off_leaves_no_trace(repo):
    run = tracking.start(a_stage(enabled=False))
    run.log_metrics({"loss": 1.0}, step=0)
    run.end("FINISHED")
    assert [path.name for path in repo.iterdir()] == ["dvc.yaml"]
