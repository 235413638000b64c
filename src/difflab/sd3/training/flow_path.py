"""The straight path of rectified flow (Liu et al. 2022; Esser et al. 2024, section 2).

sigma is the share of noise: 0 is the clean latent, 1 is pure noise. Networks of diffusers take the timestep
`NUM_TRAIN_TIMESTEPS * sigma` and predict the velocity.
"""

from typing import Literal

from torch import Tensor, nn

from difflab.core.base.broadcast import per_sample

NUM_TRAIN_TIMESTEPS = 1000


def add_noise(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """x_t = (1 - sigma) x0 + sigma noise; `x0` and `noise` are [B, ...], `sigma` is [B] in 0..1."""
    s = per_sample(sigma, x0)
    return (1 - s) * x0 + s * noise


def velocity(x0: Tensor, noise: Tensor) -> Tensor:
    """dx_t / dsigma = noise - x0, what the network learns."""
    return noise - x0


def squared_error(
    prediction: Tensor, x0: Tensor, noise: Tensor, sigma: Tensor, of: Literal["velocity", "x0"] = "velocity"
) -> Tensor:
    """Mean squared error of each sample, float32 [B].

    Of the velocity it is the loss of diffusers' scripts. Of x0, i.e. of x_t - sigma prediction, it
    is that times sigma^2, because x0_hat - x0 = -sigma (v_hat - v); reference implementations of SD3 differ
    in this.

    Args:
        prediction: predicted velocity, [B, ...].
    """
    error = (prediction.float() - velocity(x0, noise)).square().flatten(1).mean(1)
    return error * sigma.square() if of == "x0" else error


def predict_velocity(
    transformer: nn.Module, x_t: Tensor, sigma: Tensor, prompt_embeds: Tensor, pooled_prompt_embeds: Tensor
) -> Tensor:
    """The velocity that an `SD3Transformer2DModel` predicts, [B, C, h, w].

    Args:
        x_t: noisy latents, [B, C, h, w].
        sigma: float32 [B]; the timestep keeps float32 whatever the precision of the network.
        prompt_embeds: [B, L, joint dim].
        pooled_prompt_embeds: [B, pooled dim].
    """
    return transformer(
        hidden_states=x_t,
        timestep=NUM_TRAIN_TIMESTEPS * sigma,
        encoder_hidden_states=prompt_embeds.to(x_t.dtype),
        pooled_projections=pooled_prompt_embeds.to(x_t.dtype),
        return_dict=False,
    )[0]
