"""What a commit holds of a stage, read from Git alone."""

import functools
import json
import operator
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from difflab.cli.history import import_runs, results
from difflab.core.base.errors import DifflabError
from difflab.core.params import Declared, load_params


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """A commit with one trained stage, another without metrics, and its files gone from the workspace."""
    monkeypatch.chdir(tmp_path)
    train = {
        "cmd": "python -m stages.sd3.train --captions a",
        "params": {"params.yaml": {"seed": 0, "finetune": {"lora": {"blocks": [0, 1]}, "learning_rate": 0.0001}}},
        "outs": [{"path": p} for p in ("models/a", "metrics/a.json", "plots/a.csv", "plots/a.png", "plots/b.csv")],
    }
    files = {
        "dvc.lock": yaml.safe_dump(
            {"stages": {"train@a": train, "prepare": {"outs": [{"path": "data/x"}]}}}, sort_keys=False
        ),
        "metrics/a.json": '{"loss": 0.5, "n": 3, "name": "text"}',
        "plots/a.csv": "step,loss,note\n0,2.0,x\n10,0.5,y\n",
        "plots/a.png": "picture",
        "plots/b.csv": "step,hits\n0,1\nmean,2\n",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "results"]):
        subprocess.run([*git, *words], check=True)
    Path("metrics/a.json").unlink()
    return subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()


def test_parameters_metrics_curve_and_pictures_come_from_the_commit(commit):
    train, prepare = results(commit)
    assert train.address == "train@a"
    assert train.command == "python -m stages.sd3.train --captions a"
    assert train.params == {"seed": 0, "finetune": {"lora": {"blocks": [0, 1]}, "learning_rate": 0.0001}}
    assert train.metrics == {"loss": 0.5, "n": 3.0}
    assert train.curve == [(0, {"curve/loss": 2.0}), (10, {"curve/loss": 0.5})]
    assert train.pictures == {"plots/a.png": b"picture"}
    assert (prepare.metrics, prepare.curve, prepare.params) == ({}, [], {})


def test_parameters_are_those_that_the_running_stage_records(commit, root):
    """What groups take from `common` stands in the groups; a number of a float field is a float."""
    shutil.copy(root / "params.yaml", "params.yaml")
    study = load_params()
    groups = ("seed", "zoo.common", "zoo.vae", "ddpm", "finetune.density")
    text = yaml.safe_load(Path("params.yaml").read_text())
    locked = {g: functools.reduce(operator.getitem, g.split("."), text) for g in groups}
    locked["finetune.density"]["shift"] = 3
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"any": {"params": {"params.yaml": locked}}}}))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["add", "."], ["commit", "-qm", "of groups"]):
        subprocess.run([*git, *words], check=True)
    (stage,) = results("HEAD")
    recorded = Declared(study, "any", groups).as_dict()
    recorded["finetune.density"]["shift"] = 3.0
    assert json.dumps(stage.params, sort_keys=True) == json.dumps(recorded, sort_keys=True)


def test_a_commit_where_nothing_ran_says_so(commit):
    Path("dvc.lock").unlink()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "commit", "-qam", "none"], check=True)
    with pytest.raises(DifflabError, match=r"has no dvc\.lock: nothing was run there"):
        list(results("HEAD"))


@pytest.mark.usefixtures("commit")
def test_a_server_that_does_not_answer_is_one_line(monkeypatch):
    class MlflowException(Exception):
        """As MLflow's own, which is known by its name."""

    def unreachable(start, lock):
        raise MlflowException("API request to http://dead/api failed with exception HTTPConnectionPool(...)")

    monkeypatch.setattr("difflab.cli.history.MlflowRun", unreachable)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://dead")
    with pytest.raises(
        DifflabError, match=r"MLflow at http://dead did not take the runs \(API request to http://dead/api\)"
    ):
        import_runs("HEAD")


@pytest.mark.usefixtures("commit")
def test_a_database_that_is_none_is_one_line(monkeypatch):
    import sqlalchemy

    def damaged(start, lock):
        sqlalchemy.create_engine("sqlite:///mlflow.db").connect().exec_driver_sql("SELECT name FROM sqlite_master")

    Path("mlflow.db").write_text("no database, but long enough to have a header of one")
    monkeypatch.setattr("difflab.cli.history.MlflowRun", damaged)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(DifflabError, match=r"file is not a database\): move its database away") as caught:
        import_runs("HEAD")
    assert "\n" not in str(caught.value)
    assert "SELECT" not in str(caught.value)
