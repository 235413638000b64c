"""The share of each process in a training step, and what all of them have in sum. One process shares with nobody.

Process r of n takes the samples r, r + n, r + 2n, ... of every batch. Its loss counts by the number of its samples, so that
the gradients add up to that of the whole batch, whatever the shares: of 3 samples on 8 processes five have none.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.processes import PeerEnded
from difflab.core.base.runtime import process_index

if TYPE_CHECKING:
    from types import ModuleType

_WAIT = timedelta(hours=2)  # for the main process, which may be writing


def own(*columns: Any) -> tuple[Any, ...]:
    """The rows of this process in columns (tensors or lists) that are the same in all."""
    rank, count = process_index()
    return tuple(column[rank::count] for column in columns) if count > 1 else columns


def weighted(loss: Tensor, own: int, whole: int) -> Tensor:
    """The mean over `own` samples as a part of the mean over `whole` samples."""
    return loss if own == whole else loss / (whole / own)


@torch.no_grad()
def add_up(parameters: Sequence[nn.Parameter], *scalars: Tensor) -> tuple[Tensor, ...]:
    """Replace the gradients by their sums over the processes; returns the sums of the 0-d scalars.

    All goes in one exchange, with zeros for gradients that a process without samples does not have.
    """
    if process_index()[1] == 1:
        return scalars
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    parts = [*gradients, *scalars]
    flat = torch.cat([part.detach().reshape(-1).float() for part in parts])
    _all_reduce(flat)
    sums = [s.view(part.shape) for s, part in zip(flat.split([p.numel() for p in parts]), parts, strict=True)]
    for parameter, gradient, total in zip(parameters, gradients, sums, strict=False):
        parameter.grad = gradient.copy_(total)
    return tuple(sums[len(gradients) :])


def total(values: Tensor) -> Tensor:
    """The sum over the processes."""
    if process_index()[1] > 1:
        _all_reduce(values)
    return values


def anywhere(flag: bool) -> bool:
    """Whether it is set in any process. The hosts wait for each other, and for no device."""
    return flag if process_index()[1] == 1 else bool(total(torch.tensor(float(flag))))


def from_main(value: Any) -> Any:
    """The main process's value, for decisions that all have to take alike."""
    if process_index()[1] == 1:
        return value
    held = [value]
    with _peers():
        _group().broadcast_object_list(held, src=0, device=torch.device("cpu"))
    return held[0]


def _all_reduce(values: Tensor) -> None:
    with _peers():
        _group().all_reduce(values)


@contextmanager
def _peers() -> Generator[None]:
    """An exchange that fails has lost a process."""
    try:
        yield
    except RuntimeError as error:
        raise PeerEnded("another process of this launch has ended: run the same command to go on") from error


def _group() -> "ModuleType":
    """torch.distributed with all processes of this launch: tensors of GPUs go by NCCL, those of the host by gloo."""
    import torch.distributed as dist

    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            dist.init_process_group(backend, timeout=_WAIT)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, ValueError) or "EADDRINUSE" in str(error):
                where = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
                raise DifflabError(
                    f"the processes of this launch cannot meet at {where}: give the launcher another port, or leave the "
                    "start to runtime.processes"
                ) from None
            raise
    return dist
