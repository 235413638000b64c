"""The real `Stage` for a script's `main`, without dvc.yaml, params.yaml, locks and MLflow."""

import time
from pathlib import Path
from types import SimpleNamespace

from difflab.core.base.stage import Stage


class RunningStage(Stage):
    """A stage with parameters as given, beside a CPU runtime and seed 0. It is its own tracked run.

    What the script logs, writes as metrics and says last is kept; metrics lie where it wants them too.

    Args:
        folder: of its scratch and of what it keeps for its next run.
        groups: of parameters.
    """

    name = entry_name = "stage"
    item = {}  # noqa: RUF012
    _started = time.perf_counter()

    def __init__(self, folder=Path(), **groups):
        always = {"runtime": SimpleNamespace(device="cpu", dtype="float32"), "seed": 0}
        self.params = SimpleNamespace(**always | groups)
        self.run, self.folder = self, Path(folder)
        self.logged, self.metrics, self.said, self.kept_but = {}, None, "", None

    def scratch(self):
        (self.folder / "scratch").mkdir(parents=True, exist_ok=True)
        return self.folder / "scratch"

    def kept(self, *without):
        self.kept_but = without
        (self.folder / "kept").mkdir(parents=True, exist_ok=True)
        return self.folder / "kept"

    def log_metrics(self, values, step=None):
        for name, value in values.items():
            self.logged.setdefault(name, {})[step] = value

    def write_metrics(self, path, metrics):
        super().write_metrics(path, metrics)
        self.metrics = dict(metrics)

    def done(self, message):
        super().done(message)
        self.said = message
