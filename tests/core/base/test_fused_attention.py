"""Attention in tiles that depend on the processor's maker: the same numbers, written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base import fused_attention
from difflab.core.base.products import depends_on_maker

CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
FORWARD, BACKWARD = fused_attention._FORWARD, fused_attention._BACKWARD
CASES = [
    (7, 7, 8, False, False, None), (5, 20, 8, True, False, None), (33, 33, 16, False, False, 0.3),
    (9, 9, 8, False, True, None), (1, 40, 32, False, False, None), (3, 200, 16, True, False, None),
    (64, 64, 32, False, True, None), (64, 58, 32, True, False, None),
]  # fmt: skip


def in_double(q, k, v, mask, causal, scale):
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), float("-inf"))
    return (scores if mask is None else scores + mask).softmax(-1) @ v


@pytest.mark.parametrize(("queries", "keys", "width", "masked", "causal", "scale"), CASES)
def test_results_and_gradients_are_those_of_float64(queries, keys, width, masked, causal, scale):
    q, k, v = (torch.randn(2, 3, length, width) for length in (queries, keys, keys))
    mask = torch.randn(queries, keys) if masked else None
    leaves = [x.double().requires_grad_() for x in (q, k, v)]
    expected = in_double(*leaves, None if mask is None else mask.double(), causal, scale)
    grad = torch.randn(q.shape)
    expected.backward(grad.double())
    kernels, more = fused_attention.kernels(), {"attn_mask": mask, "scale": scale}
    out, sums = kernels[FORWARD](CPU, q, k, v, 0.0, causal, **more)
    near = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(out.double(), expected, **near)
    gradients = kernels[BACKWARD](CPU, grad, q, k, v, out, sums, 0.0, causal, **more)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        torch.testing.assert_close(gradient.double(), leaf.grad, **near)


def test_heads_share_keys_and_values_of_their_group(monkeypatch):
    """Grouped queries (Ainslie et al. 2023, arXiv:2305.13245): what is written out agrees with the fused kernel."""
    q, k, v = torch.randn(2, 6, 58, 16), torch.randn(2, 3, 58, 16), torch.randn(2, 3, 58, 16)
    grad, found = torch.randn(q.shape), []
    for apart in (False, True):
        monkeypatch.setattr(fused_attention, "in_unlike_tiles", lambda q, k, gradients=False, apart=apart: apart)
        kernels = fused_attention.kernels()
        out, sums = kernels[FORWARD](CPU, q, k, v, 0.0, True)
        found.append([out, *kernels[BACKWARD](CPU, grad, q, k, v, out, sums, 0.0, True)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_a_query_that_sees_nothing_gets_nothing():
    q, k = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 3, 4)
    mask = torch.tensor([[float("-inf")] * 3, [0.0] * 3])
    out, _ = fused_attention.kernels()[FORWARD](CPU, q, k, k, attn_mask=mask)
    assert torch.equal(out[0, 0, 0], torch.zeros(4))


@pytest.mark.parametrize(("queries", "keys", "masked"), [(1024, 1024, False), (900, 58, True), (1025, 64, False)])
def test_gradients_of_many_queries_are_those_of_the_fused_kernel(queries, keys, masked):
    """Taken in parts; of 1,025 queries the last is alone, and all are written out."""
    q, k, v = torch.randn(1, 2, queries, 16), torch.randn(1, 2, keys, 16), torch.randn(1, 2, keys, 16)
    grad, mask, kernels = (
        torch.randn(q.shape),
        torch.randn(queries, keys) if masked else None,
        fused_attention.kernels(),
    )
    out, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=mask)
    backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    expected = backward(grad, q, k, v, out, sums, 0.0, False, attn_mask=mask)
    found = kernels[BACKWARD](CPU, grad, q, k, v, out, sums, 0.0, False, attn_mask=mask)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@given(st.integers(1, 1200), st.integers(1, 1200), st.sampled_from([4, 8, 12, 16, 64, 192, 256]), st.booleans())
def test_what_is_left_to_the_fused_kernel_has_no_tile_that_depends_on_the_maker(queries, keys, width, gradients):
    q, k = torch.empty(1, 1, queries, width), torch.empty(1, 1, keys, width)
    if fused_attention.in_unlike_tiles(q, k, gradients=gradients):
        return
    size = 256 if queries >= 768 else 64 if queries >= 192 else 32
    for start in range(0, queries, size):
        for other in range(0, keys, 512):
            m, n = min(size, queries - start), min(512, keys - other)
            products = [(m, n, width), (m, width, n), *([(n, width, m)] if gradients else [])]
            assert not any(depends_on_maker(*product) for product in products)


@pytest.mark.parametrize(("queries", "keys", "width"), [(58, 58, 32), (64, 64, 16), (107, 107, 32), (1024, 1024, 16)])
def test_usual_sizes_are_left_to_it(queries, keys, width):
    """But for the gradients of 768 queries and more, of which a tile holds 256."""
    q, k = torch.empty(1, 1, queries, width), torch.empty(1, 1, keys, width)
    assert not fused_attention.in_unlike_tiles(q, k)
    assert fused_attention.in_unlike_tiles(q, k, gradients=True) == (queries == 1024)
