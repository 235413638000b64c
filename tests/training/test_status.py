"""The status line and the scalars behind it."""

from pathlib import Path

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.training import status


def test_scalars_come_back_in_order_and_once():
    meter = status.Meter()
    for step in (4, 5, 6):
        meter.add(step, loss=torch.tensor(float(step)), grad_norm=torch.tensor(1.0))
    assert meter.read("toy", Path("none")) == {"loss": [4.0, 5.0, 6.0], "grad_norm": [1.0, 1.0, 1.0]}
    assert meter.read("toy", Path("none")) == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_names_its_step(bad, tmp_path):
    state = tmp_path / "state"
    state.touch()
    meter = status.Meter()
    for step in (11, 12, 13):
        meter.add(step, loss=torch.tensor(1.0), grad_norm=torch.tensor(bad if step == 12 else 1.0))
    with pytest.raises(DifflabError, match=rf"toy: grad_norm is .* at step 12; .* {state}"):
        meter.read("toy", state)


def test_the_line_has_four_digits():
    text = status.status_line("toy", 5, 20, {"samples": 320, "loss": 0.123456, "data wait": "1.0%"})
    assert text == "toy: step 5/20, samples 320, loss 0.1235, data wait 1.0%"


def test_speed_counts_samples_waiting_and_mfu(monkeypatch):
    """A clock that a test sets: 10 steps of 8 samples in 4 s, 1 s of it waiting; 2 s of validation beside."""
    now = [0.0]
    monkeypatch.setattr(status.time, "perf_counter", lambda: now[0])
    speed = status.Speed(torch.device("cpu"), samples_per_step=8)
    speed.set_flops(per_sample=1e9, peak=1e11)
    for _ in range(10):
        with speed.waiting():
            now[0] += 0.1
        now[0] += 0.3
        speed.count_step()
    with speed.paused():
        now[0] += 2.0
    values = speed.read()
    assert values["samples/s"] == pytest.approx(20)
    assert values["data wait"] == "25.0%"
    assert values["MFU"] == "20.0%"
