"""Where each word of a prompt acts: cross-attention maps of a small U-Net, kept while it samples."""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


class Recorder:
    """An attention processor that keeps the maps of cross-attention: softmax(q k / sqrt(d)), mean over heads.

    Attributes:
        maps: float32 [B, pixels, tokens], one for each call.
    """

    def __init__(self) -> None:
        self.maps: list[Tensor] = []

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: object,
    ) -> Tensor:
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        weights = attn.get_attention_scores(query, key, attention_mask)
        heads = weights.unflatten(0, (len(hidden_states), attn.heads))
        self.maps.append(heads.mean(1).float().cpu())
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(weights @ value)))


@contextmanager
def recorded(unet: nn.Module) -> Generator[list[Recorder]]:
    """Keep the maps of every cross-attention layer inside the block; the old processors return after it."""
    before = dict(unet.attn_processors)
    recorders = {name: Recorder() for name in before if ".attn2." in name}
    unet.set_attn_processor({name: recorders.get(name, old) for name, old in before.items()})
    try:
        yield list(recorders.values())
    finally:
        unet.set_attn_processor(before)


def word_maps(recorders: list[Recorder], size: int) -> Tensor:
    """The mean over layers and steps as pictures: float32 [B, tokens, size, size], summing to 1 over tokens."""
    summed, count = None, 0
    for recorder in recorders:
        for kept in recorder.maps:
            side = round(kept.shape[1] ** 0.5)
            picture = kept.transpose(1, 2).unflatten(2, (side, side))
            picture = torch.nn.functional.interpolate(picture, size=(size, size), mode="bilinear")
            summed = picture if summed is None else summed + picture
            count += 1
    assert summed is not None
    return summed / count
