"""From noise to latents: Euler steps of rectified flow with classifier-free guidance."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers.models import SD3Transformer2DModel
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler


@torch.no_grad()
def sample(
    transformer: "SD3Transformer2DModel",
    scheduler: "FlowMatchEulerDiscreteScheduler",
    noise: Tensor,
    prompt_embeds: Tensor,
    pooled_prompt_embeds: Tensor,
    negative_prompt_embeds: Tensor,
    negative_pooled_prompt_embeds: Tensor,
    *,
    num_inference_steps: int,
    guidance_scale: float,
) -> Tensor:
    """Integrate dx/dsigma = v from sigma = 1 to 0 on the scheduler's (shifted) sigmas.

    v = v_negative + guidance_scale * (v_prompt - v_negative), both from one pass (Ho and Salimans 2022,
    equation 6); at scale 1 the negative prompt has no effect and is left out. The same as
    `StableDiffusion3Pipeline` computes, with the state and the guidance in float32.

    Args:
        noise: [B, C, h, w], on the transformer's device.
        prompt_embeds: [B, L, joint dim].
        pooled_prompt_embeds: [B, pooled dim].
        negative_prompt_embeds: [1, L, joint dim], of the empty prompt.
        negative_pooled_prompt_embeds: [1, pooled dim].

    Returns:
        Latents, float32 [B, C, h, w], still shifted and scaled.
    """
    guided = guidance_scale != 1
    dtype, count = transformer.dtype, len(noise)
    if guided:
        prompt_embeds = torch.cat([negative_prompt_embeds.expand(count, -1, -1), prompt_embeds])
        pooled_prompt_embeds = torch.cat([negative_pooled_prompt_embeds.expand(count, -1), pooled_prompt_embeds])
    prompt_embeds, pooled_prompt_embeds = prompt_embeds.to(dtype), pooled_prompt_embeds.to(dtype)
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    sigmas, timesteps = scheduler.sigmas, scheduler.timesteps

    x = noise.float()
    for step, timestep in enumerate(timesteps):
        inputs = torch.cat([x, x]) if guided else x
        velocity = transformer(
            hidden_states=inputs.to(dtype),
            timestep=timestep.expand(len(inputs)),
            encoder_hidden_states=prompt_embeds,
            pooled_projections=pooled_prompt_embeds,
            return_dict=False,
        )[0].float()
        if guided:
            negative, positive = velocity.chunk(2)
            velocity = negative + guidance_scale * (positive - negative)
        x = x + (sigmas[step + 1] - sigmas[step]) * velocity
    return x
