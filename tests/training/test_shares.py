"""Processes that share the steps of a training train what one process trains, whatever their shares."""

import math
import socket

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_json
from difflab.core.base.processes import PeerEnded
from difflab.core.base.runtime import process_index
from difflab.training import shares
from difflab.training.seeds import train_seeds
from fakes.processes import forked


def gradients(samples):
    """The gradient and the loss of a linear model on a batch, as a step of a training has them."""
    given = torch.Generator().manual_seed(0)
    x, y = torch.randn(samples, 5, generator=given), torch.randn(samples, 3, generator=given)
    model = torch.nn.Linear(5, 3)
    model.weight.data, model.bias.data = torch.ones(3, 5), torch.zeros(3)
    mine, wanted = shares.own(x, y)
    loss = torch.zeros(())
    if len(mine):
        loss = shares.weighted((model(mine) - wanted).square().mean(), len(mine), samples)
        loss.backward()
    (loss,) = shares.add_up(list(model.parameters()), loss.detach())
    return [*(p.grad.tolist() for p in model.parameters()), loss.item(), len(mine)]


@pytest.mark.parametrize(("samples", "processes"), [(3, 2), (3, 4), (3, 8), (7, 3)])
def test_the_gradient_of_uneven_shares_is_that_of_one_process(samples, processes):
    (alone,) = forked(lambda: gradients(samples), 1)
    found = forked(lambda: gradients(samples), processes)
    assert sum(own[-1] for own in found) == samples
    assert all(own[:-1] == found[0][:-1] for own in found), "all processes have the very same"
    for one, other in zip(found[0][:-1], alone[:-1], strict=True):
        torch.testing.assert_close(torch.tensor(one), torch.tensor(other))


def test_one_process_exchanges_nothing():
    loss = torch.tensor(0.1)
    assert shares.weighted(loss, 3, 3) is loss
    assert shares.add_up([], loss) == (loss,)
    assert shares.own(rows := [1, 2]) == (rows,)
    assert not torch.distributed.is_initialized()


def decisions():
    rank, count = process_index()
    return shares.from_main(f"of {rank}"), shares.anywhere(rank == count - 1), shares.anywhere(False)


def test_all_take_the_main_process_s_decisions_and_a_stop_anywhere_stops_all():
    assert forked(decisions, 3) == [("of 0", True, False)] * 3


def lost():
    shares.anywhere(False)
    if process_index()[0] == 1:
        return "left"
    with pytest.raises(PeerEnded, match="another process of this launch has ended"):
        shares.anywhere(False)
    return "noticed"


def test_an_exchange_with_a_process_that_is_gone_is_one_line():
    assert forked(lost, 2) == ["noticed", "left"]


def test_what_is_trained_is_decided_by_the_main_process(tmp_path):
    """The others may look at the kept trainings while it removes a damaged one."""

    def work():
        trained = []

        def train(seed):
            trained.append(seed)
            return lambda folder: (folder.mkdir(), write_json(folder / "result.json", {}))

        others = tmp_path / f"{process_index()[0]}"
        (others / "seed-1").mkdir(parents=True)
        if process_index()[0] == 0:
            (others / "seed-1" / "result.json").write_text('{"dam')
        train_seeds([0, 1], train, kept=others, scratch=tmp_path, what="toy", log=lambda *_, **__: None)
        return trained, sorted(path.name for path in others.rglob("*.json"))

    assert forked(work, 2) == [([0, 1], ["result.json"] * 2), ([0, 1], [])]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 60])
@pytest.mark.parametrize("most", [1, 3, 20])
def test_passes_are_few_and_even(count, most):
    from difflab.sd3.training.flow_training import passes

    sizes = [len(range(count)[rows]) for rows in passes(count, most)]
    assert sum(sizes) == count
    assert len(sizes) == math.ceil(count / most)
    assert all(0 < size <= most for size in sizes)


@pytest.mark.parametrize("port", ["taken", None])
def test_processes_that_cannot_meet_are_one_line(monkeypatch, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        if port:
            monkeypatch.setenv("MASTER_PORT", str(other.getsockname()[1]))
        with pytest.raises(DifflabError, match=r"cannot meet at 127\.0\.0\.1:.*: give the launcher another port"):
            shares.anywhere(False)
