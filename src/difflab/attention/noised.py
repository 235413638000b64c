"""What a network attends to in pictures that are there: real ones, noised to the levels of sampling.

Generated pictures show what a model made of a prompt, and where the thing is in them would have to be guessed; of real
ones the masks are known, and every model is asked about the same pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.attention.affinity import Tokens
from difflab.attention.capture import Attended, attention_layers, captured
from difflab.attention.heatmap import word_rows
from difflab.core.base.store.tensors import check_finite

if TYPE_CHECKING:
    from diffusers.models import SD3Transformer2DModel
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler


@dataclass(frozen=True)
class Seen:
    """Of one picture.

    Attributes:
        heat: float32 [words, steps, blocks, patches], the attention of each word's tokens to the patches, mean over heads.
        features: float32 [blocks, patches, heads x width], the outputs of attention at the patches, mean over steps.
    """

    heat: Tensor
    features: Tensor


@torch.no_grad()
def looked_at(
    transformer: "SD3Transformer2DModel",
    scheduler: "FlowMatchEulerDiscreteScheduler",
    num_inference_steps: int,
    latents: Tensor,
    noise: Tensor,
    prompt_embeds: Tensor,
    pooled_prompt_embeds: Tensor,
    words: Sequence[Sequence[Sequence[int]]],
    ids: Sequence[str] = (),
) -> Iterator[Seen]:
    """Run a batch of pictures at each level of sampling, x = (1 - sigma) x0 + sigma noise, and look at joint attention.

    Layer by layer is reduced as it is computed, so that memory does not grow with the number of steps.

    Args:
        latents, noise: [B, C, h, w], shifted and scaled as in training.
        words: for each picture the positions of the tokens of each word (`Layout.positions`).
        ids: of the pictures, for the message where a velocity is not finite.
    """
    size, patch = transformer.config.sample_size, transformer.config.patch_size
    patches = (size // patch) ** 2
    blocks = [layer.name for layer in attention_layers(transformer) if layer.kind == "joint"]
    heat = [torch.zeros(len(w), num_inference_steps, len(blocks), patches) for w in words]
    features: list[Tensor] = [torch.zeros(0)] * len(blocks)

    def take(step: int, name: str, attended: Attended) -> None:
        if name not in blocks:  # the second attention of Stable Diffusion 3.5, which has no words
            return
        block = blocks.index(name)
        for row, places in enumerate(words):
            seen = Tokens(*(part[row] for part in attended))
            for number, positions in enumerate(places):
                heat[row][number, step, block] = word_rows(seen, "attention", positions)[:patches]
        output = attended.output[:, :, :patches].transpose(1, 2).flatten(2)
        features[block] = output / num_inference_steps + (features[block] if step else 0)

    scheduler.set_timesteps(num_inference_steps, device=latents.device)
    with captured(transformer, take, dtype=torch.float32):
        for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas[:-1], strict=True):
            x = (1 - sigma) * latents + sigma * noise
            velocity = transformer(
                hidden_states=x.to(transformer.dtype),
                timestep=timestep.expand(len(x)),
                encoder_hidden_states=prompt_embeds.to(transformer.dtype),
                pooled_projections=pooled_prompt_embeds.to(transformer.dtype),
                return_dict=False,
            )[0]
            check_finite(velocity, ids, f"at sigma {float(sigma):.3g} the velocity")
    for row, maps in enumerate(heat):
        yield Seen(maps, torch.stack([block[row] for block in features]))
