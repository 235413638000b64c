"""MLflow runs of a finished study: all there after it ran, and rebuilt from Git where the database is gone."""

from pathlib import Path

from study.shell import commit, locked, run


def runs(folder: Path) -> dict:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return {r.data.tags["dvc.stage"]: r for r in found}


def test_runs_are_rebuilt_from_git_once(study):
    stages = locked(study)
    lived = runs(study)
    assert set(lived) == set(stages)
    done = run(study, "difflab", "mlflow", "import").stdout
    assert done == f"0 runs made from HEAD, {len(stages)} were there already\n"

    (study / "mlflow.db").unlink()
    done = run(study, "difflab", "mlflow", "import").stdout
    assert done == f"{len(stages)} runs made from HEAD, 0 were there already\n"
    rebuilt = runs(study)
    assert set(rebuilt) == set(stages)
    for stage in ("finetune@blip2-minus", "score", "acquire@celeba_hq"):
        assert rebuilt[stage].data.params == lived[stage].data.params
        assert rebuilt[stage].info.status == "FINISHED"
    assert rebuilt["score"].data.metrics == lived["score"].data.metrics
    done = run(study, "difflab", "mlflow", "import", "HEAD").stdout
    assert done == f"0 runs made from HEAD, {len(stages)} were there already\n"

    done = run(study, "difflab", "mlflow", "import", "nope", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "ERROR: there is no revision or experiment 'nope'; `difflab experiments` and `git branch` list names\n",
    )
    (study / "dvc.lock").unlink()
    commit(study, "no lock")
    assert "has no dvc.lock" in run(study, "difflab", "mlflow", "import", check=False).stderr
