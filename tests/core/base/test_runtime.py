"""Devices are found, or refused with what this machine has."""

import pytest
import torch

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import process_index, resolve_device


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GPUs."""

    def machine(gpus, mps=False):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return machine


@pytest.mark.parametrize(
    ("gpus", "name", "expected"),
    [(0, "auto", "cpu"), (0, "cpu", "cpu"), (2, "auto", "cuda:0"), (2, "cuda", "cuda"), (2, "cuda:1", "cuda:1")],
)
def test_a_device_that_is_there_is_found(machine, gpus, name, expected):
    machine(gpus)
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("gpus", "name", "shown"), [(0, "cuda", "none"), (0, "mps", "none"), (2, "cuda:2", "2 of that kind")]
)
def test_a_device_that_is_not_there_is_one_line(machine, gpus, name, shown):
    machine(gpus)
    with pytest.raises(DifflabError, match=f"'{name}' but this machine shows {shown}: use -S runtime.device=auto"):
        resolve_device(name)


def test_each_process_of_a_launch_has_a_gpu_of_its_own(machine, monkeypatch):
    machine(2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert resolve_device("auto") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DifflabError, match="process 2 of this launch has no GPU, this machine shows 2: start 2"):
        resolve_device("auto")


def test_the_processes_of_a_launch_are_counted(monkeypatch):
    assert process_index() == (0, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert process_index() == (1, 3)


@pytest.fixture
def tf32():
    """What GPUs may round to TF32: (convolutions, products of matrices), put back afterwards."""
    kinds = torch.backends.cudnn, torch.backends.cuda.matmul
    before, threads = [kind.allow_tf32 for kind in kinds], torch.get_num_threads()
    yield lambda: tuple(kind.allow_tf32 for kind in kinds)
    for kind, allowed in zip(kinds, before, strict=True):
        kind.allow_tf32 = allowed
    torch.set_num_threads(threads)


def test_float32_is_no_tf32_on_a_gpu(tf32):
    runtime.configure(torch.get_num_threads(), "float32")
    assert tf32() == (False, False)


def test_other_precisions_leave_convolutions_in_tf32_but_for_what_asks_for_float32(tf32):
    runtime.configure(torch.get_num_threads(), "bfloat16")
    assert tf32() == (True, False)
    assert runtime.full_float32()(tf32)() == (False, False)
    with pytest.raises(ZeroDivisionError), runtime.full_float32():
        raise ZeroDivisionError
    assert tf32() == (True, False)
