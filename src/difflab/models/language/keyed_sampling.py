"""Generation that does not depend on the batch: greedy, or sampled with randomness keyed by sample id."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList, TopPLogitsWarper

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from difflab.models.params import GenerationParams

_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


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


class _Finite(LogitsProcessor):
    """Refuses logits that are NaN or infinite, of which the first token of the vocabulary would be the choice."""

    def __init__(self, num_beams: int) -> None:
        self._num_beams = num_beams

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not (known := (scores < torch.inf).all(dim=1)).all():
            row = int((~known).nonzero()[0]) // self._num_beams
            raise DifflabError(
                f"the language model's scores for text number {row + 1} of its batch are not finite (NaN or infinite): "
                "set runtime.dtype to float32 or bfloat16, or look at the weights"
            )
        return scores


def generation_arguments(ids: Sequence[str], seed: int, settings: "GenerationParams") -> dict[str, Any]:
    """Arguments of `generate` for the samples `ids`, one per row of the batch."""
    arguments: dict[str, Any] = {"max_new_tokens": settings.max_new_tokens}
    if settings.do_sample:
        keys = rng.fold(rng.id_keys(ids), rng.key(seed, "caption sampling"))
        sampling = KeyedSampling(keys, settings.temperature, settings.top_p)
        arguments["logits_processor"] = LogitsProcessorList([sampling])
    return arguments


@torch.no_grad()
def generate(model: "PreTrainedModel", *, max_new_tokens: int, num_beams: int = 1, **arguments: Any) -> Tensor:
    """`model.generate` of the most likely tokens, or of those that a `logits_processor` makes so.

    Of the model's own generation settings the tokens alone are taken: which begin, end and pad a text. Penalties,
    forced and suppressed tokens, lengths, beams and sampling are the study's: transformers would fill in the model's
    for any that is not given, and some of them look at the padding, so that an answer would depend on its batch.

    Raises:
        DifflabError: a number of new tokens or beams below 1, or the model computes NaN or infinity.
    """
    from transformers import GenerationConfig

    if max_new_tokens < 1 or num_beams < 1:
        raise DifflabError(f"{max_new_tokens} new tokens and {num_beams} beams: at least 1 of each is needed")
    processors = LogitsProcessorList([_Finite(num_beams), *arguments.pop("logits_processor", ())])
    # BLIP-2 speaks through a language model inside, which has settings of its own.
    speakers = [m for m in (model, getattr(model, "language_model", None)) if hasattr(m, "generation_config")]
    own = [speaker.generation_config for speaker in speakers]
    tokens = {name: value for name in _TOKENS if (value := getattr(own[-1], name)) is not None}
    asked = GenerationConfig(**tokens, max_new_tokens=max_new_tokens, num_beams=num_beams, do_sample=False)
    try:
        for speaker in speakers:
            speaker.generation_config = GenerationConfig(**tokens)
        return model.generate(**arguments, logits_processor=processors, generation_config=asked)
    finally:
        for speaker, settings in zip(speakers, own, strict=True):
            speaker.generation_config = settings
