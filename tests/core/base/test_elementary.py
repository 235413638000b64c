"""Functions that torch leaves to MKL are correctly rounded, whatever the processor."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch

from difflab.core.base import elementary

VALUE, IN_PLACE, INTO = range(3)
FUNCTIONS = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt, "log10": math.log10, "acos": math.acos}


def kernel(name, form=VALUE):
    return elementary._kernels(elementary.FUNCTIONS[name])[form]


@pytest.fixture
def numbers():
    """In (0, 1), float32."""
    return torch.rand(2000, generator=torch.Generator().manual_seed(0)).clamp_min(1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_the_rounded_value(numbers, name):
    expected = np.array([FUNCTIONS[name](x) for x in numbers.tolist()], dtype=np.float32)
    assert kernel(name)(numbers).numpy().tobytes() == expected.tobytes()


def test_no_other_float32_is_nearer_to_a_square_root(numbers):
    """MKL's own is the neighbour of the nearest for a fifth of all numbers."""
    roots = kernel("sqrt")(numbers).numpy()
    for x, root in zip(numbers.tolist(), roots, strict=True):
        halves = [(Fraction(float(root)) + Fraction(float(np.nextafter(root, to)))) / 2 for to in np.float32([0, 2])]
        assert halves[0] ** 2 <= Fraction(x) <= halves[1] ** 2


def test_a_power_of_a_half_is_the_root(numbers):
    power, keys = elementary._power(), torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    assert torch.equal(power(keys, numbers, 0.5), kernel("sqrt")(numbers))
    assert torch.equal(power(keys, numbers, 2), numbers * numbers)
    assert torch.equal(power(keys, torch.tensor([4]), 0.5), torch.tensor([2.0]))


def test_every_form_gives_the_same(numbers):
    expected = kernel("log")(numbers)
    changed, out = numbers.clone(), torch.empty(0)
    assert kernel("log", IN_PLACE)(changed) is changed
    assert kernel("log", INTO)(numbers, out=out) is out
    assert torch.equal(changed, expected)
    assert torch.equal(out, expected)
    parts = numbers.view(40, 50).t()[::2]
    assert torch.equal(kernel("log")(parts), expected.view(40, 50).t()[::2])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.tensor([0, 4]), torch.tensor([0.0, 2.0])),
        (torch.tensor(4.0, dtype=torch.bfloat16), torch.tensor(2.0, dtype=torch.bfloat16)),
        (torch.tensor([4.0], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)),
        (torch.tensor([-4 + 0j]), torch.tensor([2j])),
        (torch.empty(0, 3), torch.empty(0, 3)),
    ],
)
def test_kinds_of_numbers_are_as_torch_has_them(given, expected):
    result = kernel("sqrt")(given)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert torch.equal(result, expected)


def test_infinity_comes_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel("log")(torch.tensor(0.0)) == -math.inf
        assert kernel("exp")(torch.tensor(1000.0)) == math.inf
