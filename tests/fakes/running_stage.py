"""What a stage script uses of `Stage`, without DVC, parameters or tracking."""

from types import SimpleNamespace


class RunningStage:
    """Parameters as given, beside a CPU runtime and seed 0; the metrics that the script writes are kept."""

    def __init__(self, folder, **groups):
        self.params = SimpleNamespace(**groups, runtime=SimpleNamespace(device="cpu", dtype="float32"), seed=0)
        self.folder, self.metrics = folder, None

    def scratch(self):
        return self.folder / "scratch"

    def write_metrics(self, path, metrics):
        self.metrics = metrics

    def done(self, message):
        pass
