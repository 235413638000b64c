"""torch's fused attention for CPUs, written out where it depends on the maker of the processor.

The fused kernel multiplies tiles of queries, keys and values and calls MKL for each, whose code for some sizes is one for
each maker: `difflab.core.base.products` computes those.
"""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from difflab.core.base import kernels as overriding
from difflab.core.base.products import depends_on_maker

if TYPE_CHECKING:
    from torch import Tensor

_FORWARD = "_scaled_dot_product_flash_attention_for_cpu"
_BACKWARD = f"{_FORWARD}_backward"
_QUERIES = {768: 256, 192: 64, 0: 32}  # of a tile, by the number of queries from which on
_KEYS = 512  # of a tile
_PART = 512  # queries whose gradients are taken at once where there are more than 768: their tiles hold 64


def replace() -> None:
    """Let torch compute such attention on CPUs by `products`, in this process, from here on."""
    overriding.replace("attention", kernels)


def kernels() -> dict[str, Callable[..., "tuple[Tensor, ...]"]]:
    """The kernels of attention and of its gradient, by the names of the operators; each takes the dispatch keys first.

    Queries are [batch, heads, m, width], keys and values [batch, groups, n, width]: the heads of a group share them.
    """
    import torch

    fused, fused_backward = (torch.library.get_kernel(f"aten::{name}", "CPU") for name in (_FORWARD, _BACKWARD))

    def forward(
        keys: Any, q: "Tensor", k: "Tensor", v: "Tensor", dropout: float = 0.0, causal: bool = False,
        *, attn_mask: "Tensor | None" = None, scale: float | None = None,
    ) -> "tuple[Tensor, ...]":  # fmt: skip
        if not in_unlike_tiles(q, k):
            return fused.call_boxed(keys, q, k, v, dropout, causal, attn_mask=attn_mask, scale=scale)
        weights = _weights(q, k, causal, attn_mask, scale)
        return weights @ _repeated(v, q), q.new_zeros(
            q.shape[:-1]
        )  # the sums of exponentials, which only `backward` asks for

    def backward(
        keys: Any, grad: "Tensor", q: "Tensor", k: "Tensor", v: "Tensor", out: "Tensor", logsumexp: "Tensor",
        dropout: float, causal: bool, *, attn_mask: "Tensor | None" = None, scale: float | None = None,
    ) -> "tuple[Tensor, ...]":  # fmt: skip
        parts = [slice(None)] if causal or q.shape[-2] < max(_QUERIES) else _parts(q.shape[-2])
        if not any(in_unlike_tiles(q[..., part, :], k, gradients=True) for part in parts):
            found = [
                fused_backward.call_boxed(
                    keys, grad[..., part, :], q[..., part, :], k, v, out[..., part, :], logsumexp[..., part], dropout,
                    causal, attn_mask=_rows(attn_mask, part), scale=scale,
                )
                for part in parts
            ]  # fmt: skip
            of_q, of_k, of_v = zip(*found, strict=True)
            return (torch.cat(of_q, -2), sum(of_k), sum(of_v)) if len(parts) > 1 else found[0]
        weights = _weights(q, k, causal, attn_mask, scale)
        of_weights = grad @ _repeated(v, q).mT
        of_scores = weights * (of_weights - (grad * out).sum(-1, keepdim=True)) * _scale(q, scale)
        return of_scores @ _repeated(k, q), _summed(of_scores.mT @ q, k), _summed(weights.mT @ grad, v)

    return {_FORWARD: forward, _BACKWARD: backward}


def in_unlike_tiles(q: "Tensor", k: "Tensor", *, gradients: bool = False) -> bool:
    """Whether a product of two tiles, of results or of `gradients`, is one whose bytes depend on the processor's maker."""
    import torch

    if q.dtype != torch.float32 or not q.numel() or not k.numel():
        return False
    size = next(size for least, size in _QUERIES.items() if q.shape[-2] >= least)
    tiles, width = itertools.product(_lengths(q.shape[-2], size), _lengths(k.shape[-2], _KEYS)), q.shape[-1]
    return any(
        depends_on_maker(queries, keys, width)  # scores
        or depends_on_maker(queries, width, keys)  # results, gradients of queries
        or (gradients and depends_on_maker(keys, width, queries))  # of keys and values
        for queries, keys in tiles
    )


def _lengths(length: int, size: int) -> set[int]:
    """Of the tiles that cover `length`."""
    return {size, length % size} - {0} if length >= size else {length}


def _parts(length: int) -> list[slice]:
    return [slice(start, start + _PART) for start in range(0, length, _PART)]


def _rows(mask: "Tensor | None", part: slice) -> "Tensor | None":
    """The rows of a mask for some queries; it may have one row for all."""
    return mask if mask is None or mask.shape[-2] == 1 else mask[..., part, :]


def _weights(q: "Tensor", k: "Tensor", causal: bool, mask: "Tensor | None", scale: float | None) -> "Tensor":
    """Attention [batch, heads, m, n]; 0 in rows that see nothing."""
    import torch

    scores = (q @ _repeated(k, q).mT) * _scale(q, scale)
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    return torch._safe_softmax(scores if mask is None else scores + mask, -1)


def _repeated(x: "Tensor", q: "Tensor") -> "Tensor":
    """Keys or values for each head of the queries."""
    return x if x.shape[1] == q.shape[1] else x.repeat_interleave(q.shape[1] // x.shape[1], dim=1)


def _summed(gradients: "Tensor", x: "Tensor") -> "Tensor":
    """Of keys or values, over the heads that share them."""
    return gradients if gradients.shape == x.shape else gradients.unflatten(1, (x.shape[1], -1)).sum(2)


def _scale(q: "Tensor", scale: float | None) -> float:
    return q.shape[-1] ** -0.5 if scale is None else scale
