"""Where an adapter acts: how far it moves each weight of its base, and whether two adapters move it the same way.

LoRA adds W' = W + s B A with s = alpha / rank (Hu et al. 2021, equation 3). The update D = s B A has at most `rank`
singular values, which are those of the small matrix s R_B R_A^T of the factors B = Q_B R_B and A^T = Q_A R_A.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from difflab.core.base.errors import DifflabError
from difflab.models.lora import ADAPTER


@dataclass(frozen=True)
class Update:
    """The update of one layer in its factors, float64: `left` [out, rank], with the scale in it, and `right` [rank, in]."""

    left: Tensor
    right: Tensor
    weight_norm: float  # Frobenius norm of the weight of the base

    @property
    def singular_values(self) -> Tensor:
        """Of the update, descending, [rank]."""
        left, right = (np.linalg.qr(factor.numpy()).R for factor in (self.left, self.right.T))
        return torch.from_numpy(np.linalg.svd(left @ right.T, compute_uv=False))

    def inner(self, other: "Update") -> float:
        """The Frobenius inner product of two updates of the same layer, without either of them in full."""
        return float(((self.left.T @ other.left) * (self.right @ other.right.T)).sum())


def updates(transformer: nn.Module) -> dict[str, Update]:
    """The updates of the adapter on a transformer, by the names of their layers.

    Raises:
        DifflabError: there is none.
    """
    found = {}
    layers: dict[str, Any] = dict(transformer.named_modules())
    for name, layer in layers.items():
        factors = getattr(layer, "lora_A", {}), getattr(layer, "lora_B", {})
        if ADAPTER in factors[0]:
            right, left = (factor[ADAPTER].weight.detach().double().cpu() for factor in factors)
            norm = layer.base_layer.weight.detach().double().norm().item()
            found[name] = Update(layer.scaling[ADAPTER] * left, right, norm)
    if not found:
        raise DifflabError("the transformer has no adapter: load one first")
    return found


def drift(found: dict[str, Update]) -> list[dict[str, object]]:
    """A row for each layer: block, target, norm |D|, relative |D| / |W|, largest singular value, effective rank.

    The effective rank is |D|^2 / s_1^2 (stable rank): 1 where one direction does all.
    """
    rows = []
    for name, update in found.items():
        _, block, target = name.split(".", 2)
        values = update.singular_values
        norm, largest = values.norm().item(), values[0].item()
        stable = (norm / largest) ** 2 if largest else 0.0
        measures = {"norm": norm, "relative": norm / update.weight_norm, "largest": largest, "effective_rank": stable}
        rows.append({"block": int(block), "target": target, **measures})
    return rows


def cosine(a: dict[str, Update], b: dict[str, Update]) -> float:
    """The cosine between two adapters as vectors of all weights: 1 for the same update, 0 for unrelated ones.

    A layer that only one of them adapts counts as not moved by the other. 0 where one moves nothing.
    """
    inner = sum(a[name].inner(b[name]) for name in a.keys() & b.keys())
    norms = (sum(u.inner(u) for u in one.values()) ** 0.5 for one in (a, b))
    product = next(norms) * next(norms)
    return inner / product if product else 0.0
