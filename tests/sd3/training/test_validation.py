"""The held-out loss."""

import math

import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import Interrupted
from difflab.core.base.runtime import StopSignal
from difflab.sd3.training.validation import NOISE_SEED, SIGMAS, held_out_losses
from fakes.flow import examples, tiny_transformer


@pytest.fixture(scope="module")
def accelerator():
    from accelerate import Accelerator

    return Accelerator(cpu=True)


def test_it_is_the_plain_double_loop(accelerator):
    data, model = examples(3), tiny_transformer().eval()
    found = held_out_losses(model, data, accelerator, batch_size=2)
    keys = rng.fold(rng.id_keys(data.ids), rng.key(NOISE_SEED, "held-out noise"))
    for sigma in SIGMAS:
        errors = []
        for i in range(3):
            x0, noise = data.latents.mean[i], rng.normal(keys[i : i + 1], data.latents.mean.shape[1:])[0]
            with torch.no_grad():
                v = model(
                    hidden_states=((1 - sigma) * x0 + sigma * noise)[None],
                    timestep=torch.tensor([1000 * sigma]),
                    encoder_hidden_states=data.prompts.embeds[data.prompt_rows[i, :1]],
                    pooled_projections=data.prompts.pooled[data.prompt_rows[i, :1]],
                ).sample[0]
            errors.append((v - (noise - x0)).square().mean().item())
        assert found[f"val_loss_sigma_{sigma}"] == pytest.approx(math.fsum(errors) / 3, rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_the_batch_size_does_not_matter(accelerator, batch_size):
    data, model = examples(7), tiny_transformer()
    whole = held_out_losses(model, data, accelerator, batch_size=7)
    parts = held_out_losses(model, data, accelerator, batch_size=batch_size)
    assert parts == pytest.approx(whole, rel=1e-5)


def test_it_leaves_mode_gradients_and_random_state_alone(accelerator):
    model = tiny_transformer().train()
    before = torch.get_rng_state()
    held_out_losses(model, examples(3), accelerator, batch_size=2)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_it_differs_between_models(accelerator):
    data = examples(3)
    a = held_out_losses(tiny_transformer(0), data, accelerator, batch_size=2)
    b = held_out_losses(tiny_transformer(1), data, accelerator, batch_size=2)
    assert a["val_loss"] != b["val_loss"]


def test_a_stop_ends_it_between_two_batches(accelerator):
    model, stop = tiny_transformer().train(), StopSignal()
    stop.requested = True
    with pytest.raises(Interrupted):
        held_out_losses(model, examples(3), accelerator, batch_size=2, stop=stop)
    assert model.training
