"""Several processes train the same model as one, and go on where other numbers of them stopped."""

import pytest
import torch

from difflab.core.base.errors import Interrupted
from difflab.core.base.runtime import process_index
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.flow_training import train_flow
from difflab.training import loop
from fakes.flow import density_params, examples, flow_settings, runtime, tiny_transformer
from fakes.processes import forked

SETTINGS = {"batch_size": 3, "gradient_accumulation_steps": 1, "steps": 4, "validation_interval": 2}


def train(folder, **changes):
    """The weights, as one vector, and the curve; None where the training was stopped."""
    model = tiny_transformer()
    try:
        rows = train_flow(
            model, examples(10), examples(5, prefix="val"), flow_settings(**SETTINGS | changes),
            SigmaDensity(density_params(), 0.0), seed=1, runtime=runtime(), scratch=folder, what="toy",
        )  # fmt: skip
    except Interrupted:
        return None
    return torch.cat([p.detach().flatten() for p in model.parameters()]).tolist(), rows


@pytest.mark.parametrize(
    ("processes", "changes"),
    [(2, {}), (3, {"gradient_accumulation_steps": 2}), (4, {}), (8, {"gradient_accumulation_steps": 6})],
)
def test_a_batch_of_three_on_any_number_of_processes(tmp_path, processes, changes):
    weights, rows = train(tmp_path / "alone", **changes)
    found = forked(lambda: train(tmp_path / "several", **changes), processes)
    assert all(other == found[0] for other in found), "all processes hold the very same model"
    assert found[0][0] == pytest.approx(weights, abs=2e-6)
    assert [row["samples_seen"] for row in found[0][1]] == [row["samples_seen"] for row in rows]
    for name in ("train_loss", "val_loss", "grad_norm"):
        column = [row[name] for row in rows if row[name] is not None]
        assert [row[name] for row in found[0][1] if row[name] is not None] == pytest.approx(column, rel=1e-4)


def test_a_stopped_training_goes_on_with_another_number_of_processes(tmp_path, monkeypatch):
    weights, _ = train(tmp_path / "alone")
    steps = loop.Loop.steps

    def stopping(self):
        for step in steps(self):
            self.stop.requested = step == 1 and process_index()[0] == 1  # Ctrl-C reaches one of them first
            yield step

    monkeypatch.setattr(loop.Loop, "steps", stopping)
    assert forked(lambda: train(tmp_path / "several"), 2) == [None, None]
    monkeypatch.undo()
    resumed = forked(lambda: train(tmp_path / "several"), 3)
    assert resumed[0][0] == pytest.approx(weights, abs=2e-6)
