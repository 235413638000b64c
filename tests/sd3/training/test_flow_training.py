"""The training of rectified flow: path, losses, accumulation, exact resume, snapshots; see test_loop.py for its core."""

import math
import os
import signal

import pytest
import torch
from torch import nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.runtime import StopSignal
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.examples import Batch
from difflab.sd3.training.flow_training import (
    HELD_OUT_SEED,
    HELD_OUT_SIGMAS,
    add_noise,
    flow_loss,
    held_out_losses,
    squared_error,
    train_flow,
)
from fakes.device_reads import DeviceReads
from fakes.flow import FakeLatents, density_params, examples, flow_settings, runtime, tiny_transformer

SCHEMES = ["none", "logit_normal", "sigma_sqrt", "mode", "cosmap"]


def train(scratch, data=None, transformer=None, held_out=True, machine=None, density=None, mean=-0.5, **changes):
    keep = {k: changes.pop(k) for k in ("save_steps", "save", "log") if k in changes}
    transformer = transformer or tiny_transformer()
    rows = train_flow(
        transformer,
        data or examples(10),
        examples(5, prefix="val") if held_out else None,
        flow_settings(**changes),
        SigmaDensity(density or density_params(), mean),
        seed=3,
        runtime=machine or runtime(),
        scratch=scratch,
        what="toy",
        **keep,
    )
    return transformer, rows


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def difference(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max((x - y).abs().max().item() for x, y in pairs)


class Interrupting(FakeLatents):
    """Presses Ctrl-C when the n-th batch is read."""

    def __init__(self, ids, at):
        super().__init__(ids)
        self.left = at

    def sample(self, rows, keys):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return super().sample(rows, keys)


def interrupting(at, count=10):
    data = examples(count)
    data.latents = Interrupting(data.ids, at)
    return data


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 4, 3, 3, generator=generator), torch.randn(5, 4, 3, 3, generator=generator)


def test_the_path_goes_from_the_latent_to_the_noise(pair):
    x0, noise = pair
    assert torch.equal(add_noise(x0, noise, torch.zeros(5)), x0)
    assert torch.equal(add_noise(x0, noise, torch.ones(5)), noise)


def test_the_path_is_that_of_diffusers_scheduler(pair):
    from diffusers import FlowMatchEulerDiscreteScheduler

    x0, noise = pair
    schedule = FlowMatchEulerDiscreteScheduler(shift=3.0)
    timesteps = schedule.timesteps[[10, 300, 500, 800, 990]]
    expected = schedule.scale_noise(x0, timesteps, noise)
    torch.testing.assert_close(add_noise(x0, noise, timesteps / 1000), expected)


def test_the_velocity_is_the_derivative_of_the_path(pair):
    """A model that predicts the slope of the path has no error."""
    x0, noise = (t.double() for t in pair)
    sigma, step = torch.full((5,), 0.3, dtype=torch.float64), 1e-3
    slope = (add_noise(x0, noise, sigma + step) - add_noise(x0, noise, sigma)) / step
    batch = Batch(x0, noise, sigma, noise, noise)
    assert squared_error(lambda **given: [slope], batch, sigma).max() < 1e-12
    assert squared_error(lambda **given: [-slope], batch, sigma).min() > 1


@pytest.mark.parametrize("prediction_loss", ["velocity", "x0"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_loss_of_each_scheme_equals_a_plain_loop(scheme, prediction_loss):
    """Sample by sample in Python, as the published script writes it."""
    data, model = examples(6), tiny_transformer()
    density = SigmaDensity(density_params(weighting_scheme=scheme), -0.5)
    index, keys = data.stream(3).take(0, 6)
    batch = data.training_batch(index, keys, density, seed=3, prompt_dropout=0.2, device=torch.device("cpu"))
    total = 0.0
    for i in range(6):
        x0, noise, sigma = batch.x0[i], batch.noise[i], batch.sigma[i].item()
        x_t = (1 - sigma) * x0 + sigma * noise
        with torch.no_grad():
            v = model(
                hidden_states=x_t[None],
                timestep=torch.tensor([sigma * 1000]),
                encoder_hidden_states=batch.prompt_embeds[i : i + 1],
                pooled_projections=batch.pooled_prompt_embeds[i : i + 1],
            ).sample[0]
        weight = {"sigma_sqrt": sigma**-2.0, "cosmap": 2 / (math.pi * (1 - 2 * sigma + 2 * sigma**2))}.get(scheme, 1.0)
        if prediction_loss == "x0":
            error = ((x_t - sigma * v) - x0) ** 2
        else:
            error = (v - (noise - x0)) ** 2
        total += weight * error.mean().item()
    with torch.no_grad():
        loss = flow_loss(model, batch, density, prediction_loss)
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 4), (2, 2)])
def test_accumulation_changes_nothing_but_rounding(tmp_path, batch_size, accumulation):
    whole, rows = train(tmp_path / "1x4", batch_size=4)
    parts, other = train(tmp_path / "4x1", batch_size=batch_size, gradient_accumulation_steps=accumulation)
    assert difference(whole, parts) < 1e-6
    for a, b in zip(rows, other, strict=True):
        assert a["samples_seen"] == b["samples_seen"]
        assert a["val_loss"] == pytest.approx(b["val_loss"], abs=1e-6)
    assert rows[-1]["train_loss"] == pytest.approx(other[-1]["train_loss"], abs=1e-6)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (21, 3), (8, 4)])
def test_a_stopped_run_is_resumed_bit_for_bit(tmp_path, first, second):
    """With accumulation, the average, a schedule, weighted sampling and several epochs; stopped twice.

    A batch with an even number is inside a step of two.
    """
    settings = {
        "steps": 20, "batch_size": 3, "gradient_accumulation_steps": 2, "ema_decay": 0.95,
        "lr_scheduler": "polynomial", "checkpoint_interval": 3,
    }  # fmt: skip
    weights = torch.arange(1.0, 11.0)
    whole, rows = train(tmp_path / "whole", data=examples(10, weights=weights), **settings)
    for at in (first, second):
        data = interrupting(at)
        data.weights = weights
        with pytest.raises(Interrupted, match="run the same command"):
            train(tmp_path / "parts", data=data, **settings)
    resumed, again = train(tmp_path / "parts", data=examples(10, weights=weights), **settings)
    assert equal(whole, resumed)
    assert rows == again


def test_a_stop_inside_an_accumulated_step_reads_no_further_batch(tmp_path):
    data = interrupting(4)
    with pytest.raises(Interrupted):
        train(tmp_path, data=data, gradient_accumulation_steps=8)
    assert data.latents.left == 0


def test_other_settings_never_take_over_a_state(tmp_path):
    train(tmp_path)
    with pytest.raises(DifflabError, match="state of other settings"):
        train(tmp_path, mean=0.5)


def test_compiling_changes_rounding_only(tmp_path, monkeypatch):
    """Blocks are traced and run without inductor, whose kernels take a minute to build on a CPU."""
    real = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: real(module, backend="eager"))
    plain, _ = train(tmp_path / "plain")
    compiled, _ = train(tmp_path / "compiled", machine=runtime(compile=True))
    assert all(block._compiled_call_impl for block in compiled.transformer_blocks)
    assert difference(plain, compiled) < 1e-5


def test_gradient_checkpointing_changes_rounding_only(tmp_path):
    plain, _ = train(tmp_path / "plain", held_out=False)
    checkpointed, _ = train(tmp_path / "checkpointed", held_out=False, gradient_checkpointing=True)
    assert difference(plain, checkpointed) < 1e-5
    assert not checkpointed.gradient_checkpointing


def test_bfloat16_trains_float32_weights(tmp_path):
    plain, _ = train(tmp_path / "plain")
    mixed, _ = train(tmp_path / "mixed", machine=runtime(dtype="bfloat16"))
    assert all(p.dtype == torch.float32 for p in mixed.parameters())
    assert 0 < difference(plain, mixed) < 0.01


def test_float16_is_refused(tmp_path):
    with pytest.raises(DifflabError, match="train with bfloat16 or float32"):
        train(tmp_path, machine=runtime(dtype="float16"))


def test_the_curve_has_the_held_out_losses_and_a_finished_training_is_in_eval_mode(tmp_path):
    model, rows = train(tmp_path, steps=7, validation_interval=3, gradient_accumulation_steps=2)
    assert [row["step"] for row in rows] == [0, 3, 6, 7]
    assert [row["samples_seen"] for row in rows] == [0, 24, 48, 56]
    levels = [rows[0][f"val_loss_sigma_{s}"] for s in (0.1, 0.25, 0.5, 0.75, 0.9)]
    assert rows[0]["val_loss"] == pytest.approx(sum(levels) / 5)
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    assert not model.training


def test_snapshots_are_folders_named_by_their_step(tmp_path):
    kept = {}

    def save(folder, transformer):
        kept[folder] = transformer.proj_out.weight.detach().clone()

    final, _ = train(tmp_path / "8", save_steps=[4, 8], save=save)
    assert list(kept) == [tmp_path / "8" / f"step-00000{step}" for step in (4, 8)]
    assert torch.equal(list(kept.values())[1], final.proj_out.weight)
    assert not torch.equal(*kept.values())


def test_a_step_never_waits_for_the_device(tmp_path):
    settings = {"gradient_accumulation_steps": 2, "ema_decay": 0.9}
    settings |= dict.fromkeys(["validation_interval", "checkpoint_interval", "log_interval"], 100)
    counts = []
    for steps in (4, 12):
        with DeviceReads() as reads:
            train(tmp_path / str(steps), steps=steps, **settings)
        counts.append(reads.count)
    assert counts[0] == counts[1]


def test_held_out_losses_are_the_plain_double_loop():
    data, model = examples(3), tiny_transformer().eval()
    found = held_out_losses(model, data, batch_size=2, stop=StopSignal())
    keys = rng.fold(rng.id_keys(data.ids), rng.key(HELD_OUT_SEED, "held-out noise"))
    for sigma in HELD_OUT_SIGMAS:
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
def test_the_batch_size_does_not_matter_to_held_out_losses(batch_size):
    data, model = examples(7), tiny_transformer()
    whole = held_out_losses(model, data, batch_size=7, stop=StopSignal())
    parts = held_out_losses(model, data, batch_size=batch_size, stop=StopSignal())
    assert parts == pytest.approx(whole, rel=1e-5)


def test_validation_leaves_mode_gradients_and_random_state_alone():
    model = tiny_transformer().train()
    before = torch.get_rng_state()
    held_out_losses(model, examples(3), batch_size=2, stop=StopSignal())
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_held_out_losses_differ_between_models():
    data = examples(3)
    a = held_out_losses(tiny_transformer(0), data, batch_size=2, stop=StopSignal())
    b = held_out_losses(tiny_transformer(1), data, batch_size=2, stop=StopSignal())
    assert a["val_loss"] != b["val_loss"]


def test_a_stop_ends_the_validation_between_two_batches():
    model, stop = tiny_transformer().train(), StopSignal()
    stop.requested = True
    with pytest.raises(Interrupted):
        held_out_losses(model, examples(3), batch_size=2, stop=stop)
    assert model.training
