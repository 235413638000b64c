"""What a stage script uses of `Stage`, without DVC, parameters or tracking."""

from types import SimpleNamespace


class RunningStage:
    """Parameters as given, beside a CPU runtime and seed 0; what the script writes as metrics and says last is kept."""

    def __init__(self, folder, **groups):
        self.params = SimpleNamespace(**groups, runtime=SimpleNamespace(device="cpu", dtype="float32"), seed=0)
        self.folder, self.metrics, self.said = folder, None, ""

    def scratch(self):
        return self.folder / "scratch"

    def write_metrics(self, path, metrics):
        self.metrics = metrics

    def done(self, message):
        self.said = message
