"""The outputs of a cell's trainings: what is kept of each, and their join."""

import pytest
import torch

from difflab.core.base.files import read_json
from difflab.ddpm.common.networks import load_denoiser
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.training.outputs import join_trainings, save_training
from fakes.tiny import denoiser, schedule_params


@pytest.fixture
def folders(tmp_path):
    """Seeds 3 and 10, whose models differ by a constant in one weight."""
    found = {}
    for seed in (3, 10):
        model, found[seed] = denoiser(), tmp_path / f"kept/seed-{seed}"
        found[seed].parent.mkdir(exist_ok=True)
        with torch.no_grad():
            next(model.parameters()).add_(seed)
        rows = [{"step": 0, "val_loss": 2.0 + seed}, {"step": 5, "val_loss": 1.0 + seed, "learning_rate": 0.1}]
        save_training(found[seed], model, rows, schedule_params(), shape=[1, 8, 8])
    return found


def test_models_curves_and_metrics_of_all_seeds_are_joined(folders, tmp_path):
    table, metrics = join_trainings(folders, tmp_path / "models/text", tmp_path / "plots/text.csv")
    assert metrics["val_loss"] == (4 + 11) / 2
    assert (metrics["seed_3_val_loss"], metrics["seed_10_val_loss"]) == (4, 11)
    assert metrics["parameters"] == sum(p.numel() for p in denoiser().parameters())
    assert "learning_rate" not in metrics
    assert table[["seed", "step", "val_loss"]].values.tolist() == [[3, 0, 5], [3, 5, 4], [10, 0, 12], [10, 5, 11]]
    assert (tmp_path / "plots/text.csv").read_text().startswith("seed,step,val_loss")
    first, second = (load_denoiser(f)[0] for f in trainings(tmp_path / "models/text").values())
    assert torch.allclose(next(second.parameters()) - next(first.parameters()), torch.tensor(7.0))
    assert read_json(tmp_path / "models/text/seed-3/denoiser.json")["shape"] == [1, 8, 8]
