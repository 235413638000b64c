"""The best checkpoint: the lowest validation loss counts, also across interruptions."""

import math

import pytest
import torch
from torch import nn

from difflab.captioning.captioner.best import Best
from difflab.core.base.errors import DifflabError


def model_of(value: float) -> nn.Module:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.bias, value)
    return model


def offered(path, losses, identity="run"):
    """A model whose weights are the step, and its best after these losses of steps 1, 2, ..."""
    model = model_of(0)
    best = Best(path, model, identity)
    for step, loss in enumerate(losses, 1):
        nn.init.constant_(model.weight, step)
        best.offer(step, loss)
    return model, best


def test_the_step_of_the_lowest_loss_comes_back_and_of_equal_ones_the_first(tmp_path):
    model, best = offered(tmp_path / "best", [3.0, 1.0, 2.0, 1.0])
    assert (best.step, best.loss) == (2, 1.0)
    nn.init.constant_(model.bias, 7)
    best.restore()
    assert torch.equal(model.weight, torch.full((2, 2), 2.0))
    assert torch.equal(model.bias, torch.full((2,), 7.0))  # frozen: not part of it


def test_a_resumed_run_keeps_the_best_of_before(tmp_path):
    offered(tmp_path / "best", [3.0, 1.0])
    model = model_of(9)
    best = Best(tmp_path / "best", model, "run")
    best.offer(3, 1.5)
    assert (best.step, best.loss) == (2, 1.0)
    best.restore()
    assert torch.equal(model.weight, torch.full((2, 2), 2.0))
    best.offer(4, 0.5)
    assert Best(tmp_path / "best", model, "run").step == 4


def test_the_file_of_another_run_does_not_count(tmp_path):
    offered(tmp_path / "best", [1.0])
    model, best = offered(tmp_path / "best", [5.0, 4.0], identity="another")
    assert (best.step, best.loss) == (2, 4.0)
    best.restore()
    assert torch.equal(model.weight, torch.full((2, 2), 2.0))


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path):
    _, best = offered(tmp_path / "best", [math.nan, 2.0, math.nan])
    assert best.step == 2
    _, none = offered(tmp_path / "none", [math.nan])
    with pytest.raises(DifflabError, match="no validation loss was a number"):
        none.restore()
