"""Random numbers keyed by what they are for, never by when they are drawn.

Every draw belongs to a key (seed, purpose, sample id, epoch, ...). Batch size, number of workers, number of
processes and the order of files therefore never change a result.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def key(seed: int, purpose: str, *parts: object) -> int:
    """A 63-bit key from a seed, a purpose and any further parts (ids, epochs)."""
    text = "\x1f".join([str(seed), purpose, *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_rng(seed: int, purpose: str, *parts: object) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key(seed, purpose, *parts)))


def torch_generator(seed: int, purpose: str, *parts: object) -> "torch.Generator":
    """A CPU generator for one-off draws (weight initialisation, one permutation)."""
    import torch

    return torch.Generator().manual_seed(key(seed, purpose, *parts))


def id_keys(ids: Sequence[str]) -> "torch.Tensor":
    """One 63-bit key per sample id: int64 [len(ids)]. Compute once, then combine with `fold`."""
    import torch

    return torch.tensor([key(0, "id", i) for i in ids], dtype=torch.int64)


def fold(keys: "torch.Tensor", *more: "int | torch.Tensor") -> "torch.Tensor":
    """Mix further numbers (seed-and-purpose key, epoch, ...) into a tensor of keys, element by element."""
    import torch

    for value in more:
        keys = _mix(keys ^ _mix(torch.as_tensor(value, dtype=torch.int64, device=keys.device) + _GOLDEN))
    return keys


def uniform(keys: "torch.Tensor", shape: Sequence[int] = ()) -> "torch.Tensor":
    """Uniform numbers in (0, 1), float32 [len(keys), *shape]; row i depends on keys[i] only."""
    import torch

    bits = _stream(keys, math.prod(shape))  # 23 of them: a half more and float32 still holds it exactly
    return (((bits >> 41) & 0x7FFFFF).to(torch.float32) + 0.5).div_(1 << 23).view(len(keys), *shape)


def normal(keys: "torch.Tensor", shape: Sequence[int] = ()) -> "torch.Tensor":
    """Standard normal numbers, float32 [len(keys), *shape]; row i depends on keys[i] only (Box-Muller)."""
    import torch

    size = math.prod(shape)
    bits = _stream(keys, (size + 1) // 2)
    radius = (((bits >> 40) & 0xFFFFFF).to(torch.float32) + 0.5).div_(1 << 24).log_().mul_(-2).sqrt_()
    angle = ((bits >> 8) & 0xFFFFFF).to(torch.float32).mul_(2 * math.pi / (1 << 24))
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :size].reshape(len(keys), *shape)


def _stream(keys: "torch.Tensor", size: int) -> "torch.Tensor":
    """SplitMix64 outputs (Steele, Lea and Flood 2014), int64 [len(keys), size]."""
    import torch

    counter = torch.arange(1, size + 1, dtype=torch.int64, device=keys.device)
    return _mix(keys[:, None] + counter * _GOLDEN)


def _mix(x: "torch.Tensor") -> "torch.Tensor":
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _shift(x: "torch.Tensor", by: int) -> "torch.Tensor":
    """Logical right shift: torch shifts signed integers arithmetically."""
    return (x >> by) & ((1 << (64 - by)) - 1)
