"""Generation that does not depend on the batch: greedy, or sampled with randomness keyed by sample id."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList, TopPLogitsWarper

from difflab.core.base import rng

if TYPE_CHECKING:
    from difflab.models.params import GenerationParams


class KeyedSampling(LogitsProcessor):
    """Adds Gumbel noise to the logits: the greedy choice is then a sample of the tempered, truncated softmax.

    argmax(log p + Gumbel) is distributed as p (Gumbel 1954; Maddison, Tarlow and Minka 2014). The noise of a
    token is keyed by (key of the row, number of the token), so neither the batch nor its padding matters.
    One object serves one call of `generate`.
    """

    def __init__(self, keys: Tensor, temperature: float, top_p: float) -> None:
        """`keys`: int64 [n], one per row of the batch (`difflab.core.base.rng`)."""
        self._keys, self._temperature, self._step = keys, temperature, 0
        self._top_p = TopPLogitsWarper(top_p) if top_p < 1 else None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.float() / self._temperature
        if self._top_p is not None:
            scores = self._top_p(input_ids, scores)
        self._keys = self._keys.to(scores.device)  # a vocabulary's noise is hashed there: the same bits on every device
        uniform = rng.uniform(rng.fold(self._keys, self._step), (scores.shape[-1],))
        self._step += 1
        return scores - torch.log(-torch.log(uniform))


def generation_arguments(ids: Sequence[str], seed: int, settings: "GenerationParams") -> dict[str, Any]:
    """Arguments of `model.generate` for the samples `ids`, one per row of the batch.

    A model's own generation settings (many ask for unseeded sampling) are overruled.
    """
    arguments: dict[str, Any] = {"max_new_tokens": settings.max_new_tokens, "do_sample": False, "num_beams": 1}
    arguments |= dict.fromkeys(("temperature", "top_p", "top_k"))
    if settings.do_sample:
        keys = rng.fold(rng.id_keys(ids), rng.key(seed, "caption sampling"))
        sampling = KeyedSampling(keys, settings.temperature, settings.top_p)
        arguments["logits_processor"] = LogitsProcessorList([sampling])
    return arguments
