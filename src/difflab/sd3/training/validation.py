"""The held-out loss: the same images, noise and sigmas each time, so that two values can be compared."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from difflab.core.base.runtime import StopSignal, interrupted
from difflab.sd3.training.flow_path import add_noise, predict_velocity, squared_error

if TYPE_CHECKING:
    from accelerate import Accelerator

    from difflab.sd3.training.examples import Examples

SIGMAS = (0.1, 0.25, 0.5, 0.75, 0.9)
NOISE_SEED = 0  # the same noise for every run, so that repetitions of a training compare


@torch.no_grad()
def held_out_losses(
    model: nn.Module,
    examples: "Examples",
    accelerator: "Accelerator",
    *,
    batch_size: int,
    stop: StopSignal | None = None,
) -> dict[str, float]:
    """Mean velocity error (unweighted, whatever the training loss) at each sigma, over all samples.

    No number of the training run's random stream is used, and the model's train/eval mode is put back.

    Args:
        accelerator: gives the device; every process takes each n-th sample.
        stop: polled between batches, unless there are several processes.

    Returns:
        {"val_loss": mean over the sigmas, "val_loss_sigma_0.1": ..., ...}; does not depend on `batch_size`
        beyond rounding.

    Raises:
        Interrupted: `stop` was requested.
    """
    was_training = model.training
    model.eval()
    device, processes = accelerator.device, accelerator.num_processes
    sums = torch.zeros(len(SIGMAS), dtype=torch.float64, device=device)
    try:
        for index in torch.arange(accelerator.process_index, len(examples), processes).split(batch_size):
            if stop and processes == 1:
                raise interrupted("validation")
            batch = examples.held_out_batch(index, seed=NOISE_SEED, device=device)
            for place, level in enumerate(SIGMAS):
                sigma = batch.x0.new_full((len(index),), level)
                x_t = add_noise(batch.x0, batch.noise, sigma)
                v = predict_velocity(model, x_t, sigma, batch.prompt_embeds, batch.pooled_prompt_embeds)
                sums[place] += squared_error(v, batch.x0, batch.noise, sigma).double().sum()
    finally:
        model.train(was_training)
    means = (accelerator.reduce(sums, "sum") / len(examples)).tolist()
    by_sigma = {f"val_loss_sigma_{level}": value for level, value in zip(SIGMAS, means, strict=True)}
    return {"val_loss": sum(means) / len(means), **by_sigma}
