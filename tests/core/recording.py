"""A repository whose stages are recorded, and what is found in its store."""

import subprocess
import time
from types import SimpleNamespace

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


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri)


def local(repo):
    return client(f"sqlite:///{repo / 'mlflow.db'}")


def runs(store):
    return store.search_runs([e.experiment_id for e in store.search_experiments()])


def history(store, run, metric):
    return [(m.step, m.value) for m in store.get_metric_history(run.info.run_id, metric)]


def spool(repo):
    """The files that no recorder has stored yet."""
    return sorted((repo / ".scratch" / "tracking").glob("*.jsonl"))


def recorder_of(repo):
    """The process that records this repository."""
    found = subprocess.run(
        ["pgrep", "-f", f"difflab.core.recorder {repo}/.scratch"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def wait_until(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.2)
