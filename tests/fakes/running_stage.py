"""What a stage script uses of `Stage`, without DVC, parameters or tracking."""

from pathlib import Path
from types import SimpleNamespace

from difflab.core.base.files import write_json


class RunningStage:
    """Parameters as given, beside a CPU runtime and seed 0.

    What the script logs, writes as metrics and says last is kept; metrics lie where it wants them too.

    Args:
        folder: of its scratch and of what it keeps for its next run.
        groups: of parameters.
    """

    address = "stage"

    def __init__(self, folder=Path(), **groups):
        always = {"runtime": SimpleNamespace(device="cpu", dtype="float32"), "seed": 0}
        self.params = SimpleNamespace(**always | groups)
        self.run, self.folder = self, Path(folder)
        self.logged, self.metrics, self.said, self.kept_but = {}, None, "", None

    def scratch(self):
        (self.folder / "scratch").mkdir(parents=True, exist_ok=True)
        return self.folder / "scratch"

    def kept(self, *but):
        self.kept_but = but
        (self.folder / "kept").mkdir(parents=True, exist_ok=True)
        return self.folder / "kept"

    def log_metrics(self, values, step=None):
        for name, value in values.items():
            self.logged.setdefault(name, {})[step] = value

    def write_metrics(self, path, metrics):
        self.metrics = metrics
        write_json(path, metrics)

    def done(self, message):
        self.said = message
        print(message)
