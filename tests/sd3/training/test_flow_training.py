"""The flow loop: losses, accumulation, exact resume, curve, snapshots."""

import math
import os
import signal

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, Interrupted
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.flow_training import flow_loss, train_flow
from fakes.flow import FakeLatents, density_params, examples, flow_settings, runtime, tiny_transformer

SCHEMES = ["none", "logit_normal", "sigma_sqrt", "mode", "cosmap"]


def train(
    scratch, data=None, transformer=None, held_out=True, machine=None, density=None, mean=-0.5, **changes
):
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
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


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
        weight = {
            "sigma_sqrt": sigma**-2.0,
            "cosmap": 2 / (math.pi * (1 - 2 * sigma + 2 * sigma**2)),
        }.get(scheme, 1.0)
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
        assert a["images_seen"] == b["images_seen"]
        assert a["val_loss"] == pytest.approx(b["val_loss"], abs=1e-6)
    assert rows[-1]["train_loss"] == pytest.approx(other[-1]["train_loss"], abs=1e-6)


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("at", [1, 5, 9])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, accumulation, at):
    """20 steps = some, Ctrl-C at the n-th batch (inside a step where steps accumulate), and the rest."""
    settings = {"steps": 12, "ema_decay": 0.9, "gradient_accumulation_steps": accumulation, "batch_size": 3}
    whole, rows = train(tmp_path / "whole", **settings)
    with pytest.raises(Interrupted, match="run the same command"):
        train(tmp_path / "parts", data=interrupting(at), **settings)
    resumed, again = train(tmp_path / "parts", **settings)
    assert equal(whole, resumed)
    assert rows == again


def test_ten_and_ten_steps_equal_twenty_bit_for_bit(tmp_path):
    """With accumulation, the average, a schedule, weighted sampling and several epochs; stopped twice."""
    settings = {
        "steps": 20,
        "batch_size": 3,
        "gradient_accumulation_steps": 2,
        "ema_decay": 0.95,
        "lr_scheduler": "polynomial",
        "checkpoint_interval": 3,
    }
    weights = torch.arange(1.0, 11.0)
    whole, rows = train(tmp_path / "20", data=examples(10, weights=weights), **settings)
    for at in (21, 3):  # the 21st batch is the first of step 11
        data = interrupting(at)
        data.weights = weights
        with pytest.raises(Interrupted):
            train(tmp_path / "10+10", data=data, **settings)
    resumed, again = train(tmp_path / "10+10", data=examples(10, weights=weights), **settings)
    assert equal(whole, resumed)
    assert rows == again


def test_a_killed_run_goes_on_from_its_last_state(tmp_path):
    """No chance to save at the end: step 8 is done again from the state of step 6."""

    class Killed(FakeLatents):
        calls = 0

        def sample(self, rows, keys):
            self.calls += 1
            if self.calls == 9:
                raise MemoryError
            return super().sample(rows, keys)

    data = examples(10)
    data.latents = Killed(data.ids)
    settings = {"steps": 12, "checkpoint_interval": 3}
    with pytest.raises(MemoryError):
        train(tmp_path / "killed", data=data, **settings)
    whole, rows = train(tmp_path / "whole", **settings)
    resumed, again = train(tmp_path / "killed", **settings)
    assert equal(whole, resumed)
    assert rows == again


def test_a_stop_during_validation_goes_on_bit_for_bit(tmp_path, monkeypatch):
    from difflab.sd3.training import flow_training

    whole, rows = train(tmp_path / "whole")
    real, calls = flow_training.held_out_losses, []

    def stopped(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args, **kwargs)

    monkeypatch.setattr(flow_training, "held_out_losses", stopped)
    with pytest.raises(Interrupted):
        train(tmp_path / "parts")
    resumed, again = train(tmp_path / "parts")
    assert equal(whole, resumed)
    assert rows == again


def test_other_settings_never_take_over_a_state(tmp_path):
    train(tmp_path)
    with pytest.raises(DifflabError, match="state of other settings"):
        train(tmp_path, mean=0.5)


def test_validation_does_not_disturb_training(tmp_path):
    with_validation, _ = train(tmp_path / "a", validation_interval=1)
    without, rows = train(tmp_path / "b", held_out=False)
    assert equal(with_validation, without)
    assert "val_loss" not in rows[-1]


def test_a_nan_loss_names_the_step_and_keeps_the_last_good_state(tmp_path):
    class Broken(FakeLatents):
        calls = 0

        def sample(self, rows, keys):
            self.calls += 1
            return super().sample(rows, keys) * (float("nan") if self.calls == 7 else 1)

    data = examples(10)
    data.latents = Broken(data.ids)
    with pytest.raises(
        DifflabError, match=r"toy: loss is nan at step 7; the last good state is kept in .*toy"
    ):
        train(tmp_path, data=data)
    whole, _ = train(tmp_path / "whole")
    resumed, _ = train(tmp_path)
    assert equal(whole, resumed)


def test_the_curve_has_a_row_at_the_start_at_each_interval_and_at_the_end(tmp_path):
    logged = []
    _, rows = train(
        tmp_path,
        steps=7,
        validation_interval=3,
        gradient_accumulation_steps=2,
        log=lambda *row: logged.append(row),
    )
    assert [row["step"] for row in rows] == [0, 3, 6, 7]
    assert [row["images_seen"] for row in rows] == [0, 24, 48, 56]
    assert rows[0]["train_loss"] is None
    assert all(row["train_loss"] > 0 for row in rows[1:])
    levels = [rows[0][f"val_loss_sigma_{s}"] for s in (0.1, 0.25, 0.5, 0.75, 0.9)]
    assert rows[0]["val_loss"] == pytest.approx(sum(levels) / 5)
    assert [step for step, values in logged if "val_loss" in values] == [0, 3, 6, 7]
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]


def test_snapshots_hold_the_weights_of_their_step(tmp_path):
    kept = {}

    def save(folder, transformer):
        kept[folder.name] = {n: p.detach().clone() for n, p in transformer.named_parameters()}

    final, _ = train(tmp_path / "8", lr_scheduler="constant", save_steps=[4, 8], save=save)
    half, _ = train(tmp_path / "4", lr_scheduler="constant", steps=4)
    assert list(kept) == ["step-000004", "step-000008"]
    for name, parameter in half.named_parameters():
        assert torch.equal(kept["step-000004"][name], parameter)
    for name, parameter in final.named_parameters():
        assert torch.equal(kept["step-000008"][name], parameter)


def test_the_final_weights_are_the_average(tmp_path):
    raw, path = [], []
    averaged, _ = train(tmp_path / "ema", ema_decay=0.5, lr_scheduler="constant", held_out=False)
    name = "proj_out.weight"
    for steps in range(1, 9):
        model, _ = train(tmp_path / f"raw-{steps}", steps=steps, lr_scheduler="constant", held_out=False)
        raw.append(model.state_dict()[name].clone())
    expected = raw[0]
    for n, weights in enumerate(raw[1:], start=2):
        decay = min(0.5, n / (9 + n))
        expected = decay * expected + (1 - decay) * weights
        path.append(expected)
    torch.testing.assert_close(averaged.state_dict()[name], expected)
    assert not torch.equal(expected, raw[-1])


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
    from accelerate.state import AcceleratorState

    plain, _ = train(tmp_path / "plain")
    AcceleratorState._reset_state()  # it keeps the precision of the first run of a process
    try:
        mixed, _ = train(tmp_path / "mixed", machine=runtime(dtype="bfloat16"))
    finally:
        AcceleratorState._reset_state()
    assert all(p.dtype == torch.float32 for p in mixed.parameters())
    assert 0 < difference(plain, mixed) < 0.01


def test_float16_is_refused(tmp_path):
    with pytest.raises(DifflabError, match="train with bfloat16 or float32"):
        train(tmp_path, machine=runtime(dtype="float16"))


def test_only_parameters_with_a_gradient_are_trained(tmp_path):
    transformer = tiny_transformer()
    transformer.requires_grad_(False)
    transformer.proj_out.requires_grad_(True)
    trained, _ = train(tmp_path, transformer=transformer)
    changed = {
        n
        for n, p in trained.named_parameters()
        if not torch.equal(p, dict(tiny_transformer().named_parameters())[n])
    }
    assert changed == {"proj_out.weight", "proj_out.bias"}
    assert not trained.training


def test_global_random_state_does_not_matter(tmp_path):
    a, _ = train(tmp_path / "a")
    transformer = tiny_transformer()
    torch.manual_seed(rng.key(8, "other"))
    b, _ = train(tmp_path / "b", transformer=transformer)
    assert equal(a, b)


def test_a_step_never_waits_for_the_device(tmp_path):
    """Reading a scalar (`.item()`, `bool(tensor)`) makes the host wait; more steps must not read more."""

    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += function is torch.ops.aten._local_scalar_dense.default
            return function(*args, **(kwargs or {}))

    counts = []
    for steps in (4, 12):
        with Reads() as reads:
            train(
                tmp_path / str(steps),
                steps=steps,
                gradient_accumulation_steps=2,
                ema_decay=0.9,
                validation_interval=100,
                checkpoint_interval=100,
                log_interval=100,
            )
        counts.append(reads.count)
    assert counts[0] == counts[1]
    with Reads() as reads:
        torch.ones(1).item()
    assert reads.count == 1
