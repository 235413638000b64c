"""The small loop: schedule, exact resume, NaN."""

import os
import signal

import pytest
import torch
from torch import nn

from difflab.core.base.errors import DifflabError, Interrupted
from difflab.training.params import FitParams
from difflab.training.supervised import fit, warmup_cosine


def settings(**changes):
    values = {
        "steps": 20,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "warmup_steps": 3,
        "max_grad_norm": 1.0,
        "checkpoint_interval": 7,
        "log_interval": 6,
    }
    return FitParams(**{**values, **changes})


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 1))


def run(scratch, stop_at=None, nan_at=None, model=None, validate=None, **changes):
    """Train to sum up 4 numbers; optionally Ctrl-C or a NaN loss in one step."""
    model = model or network()

    def batch_loss(step):
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        x = torch.randn(4, 4, generator=torch.Generator().manual_seed(step))
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        return {"loss": loss * (float("nan") if step == nan_at else 1), "twice": 2 * loss.detach()}

    return model, fit(model, batch_loss, settings(**changes), scratch=scratch, validate=validate, what="toy")


def equal(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("stop_at", [2, 9, 13])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, stop_at):
    """Also dropout, batch-norm statistics and the means of the rows."""
    whole, rows = run(tmp_path / "whole")
    with pytest.raises(Interrupted, match="run the same command"):
        run(tmp_path / "parts", stop_at=stop_at)
    torch.manual_seed(99)  # the global generator is not part of the state and need not be
    resumed, again = run(tmp_path / "parts")
    assert equal(whole, resumed)
    assert rows == again


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, rows = run(tmp_path)
    second, again = run(tmp_path, nan_at=0)
    assert equal(first, second)
    assert rows == again


def test_the_state_of_other_settings_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(DifflabError, match=r"toy\.safetensors is the state of other settings"):
        run(tmp_path, learning_rate=1e-3)


def test_a_nan_loss_stops_and_keeps_the_last_good_state(tmp_path):
    with pytest.raises(DifflabError, match=r"loss is nan at step 12; the last good state is kept in .*toy"):
        run(tmp_path, nan_at=11)
    whole, _ = run(tmp_path / "whole")
    resumed, _ = run(tmp_path)
    assert equal(whole, resumed)


def test_a_nan_before_the_first_state_says_so(tmp_path):
    with pytest.raises(DifflabError, match="nan at step 1; no state was saved before"):
        run(tmp_path, nan_at=0)


def test_rows_are_means_since_the_row_before(tmp_path):
    _, rows = run(tmp_path)
    _, single = run(tmp_path / "single", log_interval=1)
    assert [row["step"] for row in rows] == [6, 12, 18, 20]
    losses = [row["loss"] for row in single]
    assert rows[1]["loss"] == pytest.approx(sum(losses[6:12]) / 6)
    assert rows[1]["twice"] == pytest.approx(2 * rows[1]["loss"])


def test_validation_joins_the_rows_in_eval_mode_and_changes_nothing_else(tmp_path):
    plain, expected = run(tmp_path / "plain")
    model, seen = network(), []

    def validate(step):
        seen.append((step, model.training))
        torch.rand(3)
        return {"val_loss": float(step)}

    validated, rows = run(tmp_path / "validated", model=model, validate=validate)
    assert seen == [(step, False) for step in (6, 12, 18, 20)]
    assert [row.pop("val_loss") for row in rows] == [6, 12, 18, 20]
    assert rows == expected
    assert equal(plain, validated)
    assert model.training


def test_frozen_parameters_stay(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    run(tmp_path, model=model)
    assert torch.equal(model[0].weight, before)
    assert not torch.equal(model[3].weight, network()[3].weight)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    factors = [warmup_cosine(step, settings()) for step in range(21)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert factors[3] == 1.0
    assert factors[3:] == sorted(factors[3:], reverse=True)
    assert factors[20] == pytest.approx(0)
