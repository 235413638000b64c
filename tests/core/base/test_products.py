"""Products of the sizes that MKL computes by maker: the same numbers from sizes that it does not."""

import itertools
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from difflab.core.base import products

SIZES = [0, 1, 2, 3, 4, 5, 11, 12, 13, 40]
TERMS = [0, 1, 7, 192, 193, 256, 271, 272, 300]
sizes = st.sampled_from(SIZES)
CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)


class Library:
    """In place of torch's kernels: multiplies, and notes the sizes of the factors."""

    def __init__(self):
        self.given = []

    def call_boxed(self, keys, *tensors, beta=1, alpha=1):
        *x, a, b = tensors
        self.given.append((a.shape[-2], b.shape[-1], a.shape[-1]))
        return alpha * (a @ b) + (beta * x[0] if x else 0)


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setattr(torch.library, "get_kernel", lambda name, key: library)
    return library


@pytest.mark.parametrize("terms", TERMS)
def test_library_gets_sizes_that_do_not_depend_on_the_maker(library, terms):
    kernels = products.products()
    for rows, columns in itertools.product(SIZES, SIZES):
        a, b = torch.randn(rows, terms), torch.randn(terms, columns)
        for name, factors in {"mm": (a, b), "bmm": (a.expand(2, -1, -1), b.expand(2, -1, -1))}.items():
            result = kernels[name](CPU, *factors)
            torch.testing.assert_close(result, factors[0] @ factors[1], rtol=1e-4, atol=1e-4)
            assert result.is_contiguous()
            if rows * columns * terms:
                assert not products.depends_on_maker(*library.given[-1])


@given(sizes, sizes, st.sampled_from(TERMS), st.sampled_from([0, 1, -2, 0.5]), st.sampled_from([1, 3, 0.25]))
def test_sums_are_those_of_torch(rows, columns, terms, beta, alpha):
    x, a, b = torch.randn(rows, columns), torch.randn(rows, terms), torch.randn(terms, columns)
    expected = torch.addmm(x.double(), a.double(), b.double(), beta=beta, alpha=alpha)
    found = products.products()["addmm"](CPU, x, a, b, beta=beta, alpha=alpha)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


@given(sizes, st.sampled_from(TERMS), st.sampled_from([0, 1, -2]))
def test_products_with_a_vector_are_those_of_torch(rows, terms, beta):
    x, a, b = torch.randn(rows), torch.randn(rows, terms), torch.randn(terms)
    kernels, near = products.products(), {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(kernels["mv"](CPU, a, b).double(), a.double() @ b.double(), **near)
    expected = torch.addmv(x.double(), a.double(), b.double(), beta=beta)
    torch.testing.assert_close(kernels["addmv"](CPU, x, a, b, beta=beta).double(), expected, **near)
    torch.testing.assert_close(kernels["dot"](CPU, b, b).double(), b.double() @ b.double(), **near)


def test_what_is_multiplied_by_beta_0_does_not_count():
    nothing = torch.full((2, 3), float("nan"))
    found = products.products()["addmm"](CPU, nothing, torch.eye(2), torch.ones(2, 3), beta=0)
    assert torch.equal(found, torch.ones(2, 3))


def test_float64_is_left_to_the_library(library):
    a = torch.randn(2, 3, dtype=torch.float64)
    products.products()["mm"](CPU, a, a.T)
    assert library.given == [(2, 2, 3)]


CASES = [(1, 3, 8, 3, 1), (1, 5, 7, 1, 1), (3, 8, 4, 1, 1), (4, 8, 4, 1, 2), (1, 4, 6, 3, 2), (0, 4, 6, 1, 1)]


@pytest.mark.parametrize(("batch", "into", "out", "size", "stride"), CASES)
def test_convolutions_of_one_picture_or_one_pixel_are_those_of_float64(batch, into, out, size, stride):
    x, weight, bias = torch.randn(batch, into, 16, 16), torch.randn(out, into, size, size), torch.randn(out)
    sides, strides, padding = (size, size), (stride, stride), (size // 2, size // 2)
    leaves = [tensor.double().requires_grad_() for tensor in (x, weight, bias)]
    expected = conv2d(*leaves, stride=strides, padding=padding)
    grad = torch.randn(expected.shape)
    expected.backward(grad.double())
    kernels = products.convolutions()
    near = {"rtol": 1e-4, "atol": 1e-4}
    found = kernels["_slow_conv2d_forward"](CPU, x, weight, sides, bias, strides, padding)
    torch.testing.assert_close(found.double(), expected, **near)
    backward = kernels["_slow_conv2d_backward.output_mask"]
    for leaf, gradient in zip(leaves, backward(CPU, grad, x, weight, sides, strides, padding, [True] * 3), strict=True):
        torch.testing.assert_close(gradient.double(), leaf.grad, **near)
    assert backward(CPU, grad, x, weight, sides, strides, padding, [False, True, False])[0] is None


@pytest.mark.parametrize(("batch", "size"), [(1, 3), (1, 1), (4, 1)])
def test_onednn_takes_them(batch, size):
    """Once torch has these kernels, in a process of its own: torch says which library computes a convolution."""
    program = f"""
import torch
from difflab.core.base import products
products.replace()
x, weight = torch.ones({batch}, 4, 8, 8, requires_grad=True), torch.ones(4, 4, {size}, {size}, requires_grad=True)
with torch.backends.mkldnn.verbose(1):
    torch.nn.functional.conv2d(x, weight, padding={size // 2}).sum().backward()
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for direction in ("forward_training", "backward_data", "backward_weights"):
        assert re.search(rf"exec,cpu,convolution,[^,]+,{direction}", said)
