"""The training on a loss by step number."""

import os
import signal

import pytest
import torch
from torch import nn

from difflab.core.base.errors import Interrupted
from difflab.training.params import FitParams
from difflab.training.supervised import fit

SETTINGS = FitParams(
    steps=20, batch_size=4, learning_rate=1e-2, weight_decay=0.01, warmup_steps=3, max_grad_norm=0.5,
    checkpoint_interval=7, log_interval=6,
)  # fmt: skip


def network(*between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), *between, nn.Linear(8, 1))


def loss_of(model, step):
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(step))
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


def run(scratch, model, stop_at=None, validate=None):
    """Train to sum up 4 numbers; optionally Ctrl-C in one step."""

    def batch_loss(step):
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        loss = loss_of(model, step)
        return {"loss": loss, "twice": 2 * loss.detach()}

    return fit(model, batch_loss, SETTINGS, scratch=scratch, validate=validate, what="toy")


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_equals_a_plain_loop(tmp_path):
    """Clipping and the learning rate written out."""
    model, plain, losses = network(nn.Tanh()), network(nn.Tanh()), []
    rows = run(tmp_path, model)
    optimizer = torch.optim.AdamW(plain.parameters(), weight_decay=0.01)
    for step in range(20):
        share = (step + 1) / 3 if step < 3 else 0.5 + 0.5 * torch.cos(torch.tensor((step - 3) / 17 * torch.pi))
        optimizer.param_groups[0]["lr"] = 1e-2 * float(share)
        optimizer.zero_grad()
        loss = loss_of(plain, step)
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in plain.parameters()]).norm().item()
        for p in plain.parameters():
            p.grad.mul_(min(1, 0.5 / norm))
        optimizer.step()
        losses.append(loss.item())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], atol=1e-5, rtol=1e-4)
    assert [row["step"] for row in rows] == [6, 12, 18, 20]
    assert [row["samples_seen"] for row in rows] == [24, 48, 72, 80]
    assert rows[1]["train_loss"] == pytest.approx(sum(losses[6:12]) / 6, rel=1e-4)
    assert rows[1]["twice"] == pytest.approx(2 * rows[1]["train_loss"])


def test_a_stopped_run_is_resumed_bit_for_bit(tmp_path):
    whole, parts, cut_short = (network(nn.Dropout(0.2), nn.BatchNorm1d(8)) for _ in range(3))
    rows = run(tmp_path / "whole", whole)
    with pytest.raises(Interrupted, match="run the same command"):
        run(tmp_path / "parts", cut_short, stop_at=9)
    assert run(tmp_path / "parts", parts) == rows
    assert equal(whole, parts)


def test_validation_joins_the_rows(tmp_path):
    rows = run(tmp_path, network(), validate=lambda step: {"val_loss": float(step)})
    assert [row["val_loss"] for row in rows] == [0, 6, 12, 18, 20]
