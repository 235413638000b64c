"""The loop of the pixel models: its loss, exact resume, the weight average."""

import math

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from difflab.core.base.errors import DifflabError, Interrupted
from difflab.ddpm.training.corruption import Corrupted, GaussianNoise
from difflab.ddpm.training.denoiser_training import ImageSet, warmup_cosine
from difflab.ddpm.training.held_out import held_out_errors
from fakes.denoising import Scale, Watched, difference, equal, gaussian, image_set, press_ctrl_c, train
from fakes.flow import runtime
from fakes.tiny import blobs, denoiser, names, objective, training


def test_the_loop_equals_a_plain_one(tmp_path):
    """Sample by sample, with a plain AdamW, the learning rate and the clipping written out."""
    settings = {"steps": 4, "warmup_steps": 2, "max_grad_norm": 0.05, "flip": True, "condition_dropout": 0.5}
    model, corruption, batches = denoiser("by class"), Watched(gaussian()), []
    model.register_forward_pre_hook(lambda module, arguments: batches.append(arguments))
    _, rows = train(tmp_path, image_set(conditions=True), model, corruption, **settings)

    plain, losses = denoiser("by class").train(), []
    optimizer = torch.optim.AdamW(plain.parameters(), weight_decay=1e-2, fused=False, foreach=False)
    for share, x0, (x, level, told) in zip([0.5, 1.0, 1.0, 0.5], corruption.seen, batches, strict=True):
        loss = torch.zeros(())
        for n in range(4):
            own = slice(n, n + 1)
            restored = plain(x[own], level[own], {"class_labels": told["class_labels"][own]})
            loss = loss + min(level[n].item() ** -2, 5.0) * (restored - x0[own]).square().mean() / 4
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in plain.parameters() if p.grad is not None]
        norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        assert norm > 0.05
        for gradient in gradients:
            gradient.mul_(0.05 / norm)
        optimizer.param_groups[0]["lr"] = 1e-3 * share
        optimizer.step()
    assert rows[-1]["train_loss"] == pytest.approx(sum(losses) / 4, rel=1e-4)
    assert difference(plain, model) < 5e-5
    assert difference(plain, denoiser("by class")) > 1e-3


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_ten_and_ten_steps_equal_twenty_bit_for_bit(tmp_path, ema_decay, channels_last):
    """With flips, conditions and several epochs; stopped twice, beside the saved states and on one."""
    settings = {
        "steps": 20, "batch_size": 3, "ema_decay": ema_decay, "flip": True, "condition_dropout": 0.3,
        "channels_last": channels_last, "checkpoint_interval": 7,
    }  # fmt: skip

    def run(scratch, at=None):
        corruption = Watched(gaussian(), at, press_ctrl_c)
        return train(scratch, image_set(conditions=True), denoiser("by class"), corruption, **settings)

    whole, rows = run(tmp_path / "20")
    for at in (10, 4):
        with pytest.raises(Interrupted, match="toy stopped with its state saved: run the same command"):
            run(tmp_path / "10+10", at)
    torch.manual_seed(99)  # the global generator is not part of the state and need not be
    resumed, again = run(tmp_path / "10+10")
    assert equal(whole, resumed)
    assert rows == again


def test_a_killed_run_goes_on_from_its_last_state(tmp_path):
    """No chance to save at the end: step 8 is done again from the state of step 6."""

    def die(corrupted):
        raise MemoryError

    settings = {"steps": 12, "checkpoint_interval": 3, "validation_interval": 5, "ema_decay": 0.9}
    with pytest.raises(MemoryError):
        train(tmp_path / "killed", corruption=Watched(gaussian(), 9, die), **settings)
    whole, rows = train(tmp_path / "whole", **settings)
    resumed, again = train(tmp_path / "killed", **settings)
    assert equal(whole, resumed)
    assert rows == again


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, rows = train(tmp_path, ema_decay=0.9)
    model, corruption = denoiser(), Watched()
    _, again = train(tmp_path, model=model, corruption=corruption, ema_decay=0.9)
    assert corruption.seen == []
    assert equal(first, model)
    assert rows == again


def test_the_state_of_other_settings_is_refused(tmp_path):
    train(tmp_path)
    with pytest.raises(DifflabError, match=r"toy\.safetensors is the state of other settings"):
        train(tmp_path, learning_rate=2e-3)


def test_a_nan_loss_stops_in_one_line_that_names_the_step_and_keeps_the_last_good_state(tmp_path):
    def spoil(corrupted):
        return Corrupted(corrupted.images * float("nan"), corrupted.level)

    with pytest.raises(DifflabError) as error:
        train(tmp_path, corruption=Watched(gaussian(), 7, spoil))
    state = tmp_path / "toy.safetensors"
    assert str(error.value).startswith(
        f"toy: loss is nan at step 7; the last good state is kept in {state}; "
    )
    assert "\n" not in str(error.value)
    whole, _ = train(tmp_path / "whole")
    resumed, _ = train(tmp_path)
    assert equal(whole, resumed)


def test_the_final_weights_are_the_average(tmp_path):
    """diffusers' average with warm-up, in closed form, of the weights after each step."""
    model, raw, name = denoiser(), [], "network.conv_in.weight"
    model.register_forward_pre_hook(lambda module, arguments: raw.append(module.state_dict()[name].clone()))
    train(tmp_path, model=model, ema_decay=0.5)
    raw.append(load_file(tmp_path / "toy.safetensors")[f"model/{name}"])
    expected = raw[1]
    for n, weights in enumerate(raw[2:], start=2):
        decay = min(0.5, n / (9 + n))
        expected = decay * expected + (1 - decay) * weights
    torch.testing.assert_close(model.state_dict()[name], expected)
    assert not torch.equal(expected, raw[-1])
    assert not model.training


def test_without_an_average_the_final_weights_are_the_last(tmp_path):
    model, _ = train(tmp_path, ema_decay=0.0)
    state = load_file(tmp_path / "toy.safetensors")
    assert all(torch.equal(p, state[f"model/{name}"]) for name, p in model.named_parameters())


def test_validation_sees_the_average_in_eval_mode_and_does_not_disturb_training(tmp_path):
    model, modes = denoiser(), []

    def validate():
        modes.append(model.training)
        torch.rand(3)
        return {"mean": model.network.conv_in.weight.mean().item()}

    _, rows = train(tmp_path / "a", model=model, ema_decay=0.9, validate=validate, validation_interval=1)
    assert modes == [False] * 9
    assert rows[-1]["mean"] == model.network.conv_in.weight.mean().item()
    without, _ = train(tmp_path / "b", ema_decay=0.9)
    assert equal(model, without)


def test_the_curve_has_a_row_at_the_start_at_each_interval_and_at_the_end(tmp_path):
    logged = []
    _, rows = train(
        tmp_path,
        model=Scale(),
        steps=7,
        validation_interval=3,
        validate=lambda: {"val_loss": 1.0},
        log=lambda *row: logged.append(row),
    )
    assert [row["step"] for row in rows] == [0, 3, 6, 7]
    assert [row["images_seen"] for row in rows] == [0, 12, 24, 28]
    assert rows[0]["train_loss"] is None
    assert all(row["train_loss"] > 0 for row in rows[1:])
    assert [step for step, values in logged if "val_loss" in values] == [0, 3, 6, 7]
    assert [step for step, values in logged if "loss" in values] == [4, 7]


def test_training_beats_not_training(tmp_path):
    """Of spots at other places than those it has seen."""
    held_out = ImageSet(names(64, "unseen"), blobs(names(64, "unseen")))
    model = denoiser(block_out_channels=[16, 16])
    _, rows = train(
        tmp_path,
        images=image_set(64),
        model=model,
        steps=80,
        batch_size=16,
        learning_rate=5e-3,
        warmup_steps=10,
        ema_decay=0.9,
        validation_interval=80,
        validate=lambda: held_out_errors(model, held_out),
    )
    assert rows[-1]["val_loss"] < 0.25 * rows[0]["val_loss"]
    assert rows[-1]["val_loss"] == held_out_errors(model, held_out)["val_loss"]


def test_the_memory_layout_changes_rounding_only(tmp_path):
    plain, rows = train(tmp_path / "plain")
    laid_out, again = train(tmp_path / "channels_last", channels_last=True)
    assert laid_out.network.conv_in.weight.shape == plain.network.conv_in.weight.shape
    assert difference(plain, laid_out) < 1e-4
    assert rows[-1]["train_loss"] == pytest.approx(again[-1]["train_loss"], rel=1e-4)


def test_bfloat16_trains_float32_weights(tmp_path):
    plain, _ = train(tmp_path / "plain")
    mixed, rows = train(tmp_path / "mixed", machine=runtime(dtype="bfloat16"))
    assert all(p.dtype == torch.float32 for p in mixed.parameters())
    assert 0 < difference(plain, mixed) < 0.02
    assert math.isfinite(rows[-1]["train_loss"])


def test_float16_is_refused(tmp_path):
    with pytest.raises(DifflabError, match="train with bfloat16 or float32"):
        train(tmp_path, machine=runtime(dtype="float16"))


def test_an_empty_set_is_refused(tmp_path):
    with pytest.raises(DifflabError, match=r"^toy: there is no image to train on$"):
        train(tmp_path, images=ImageSet([], torch.zeros(0, 1, 8, 8, dtype=torch.uint8)))


@pytest.mark.parametrize("make", [denoiser, Scale])
def test_global_random_state_does_not_matter(tmp_path, make):
    runs = []
    for state in (1, 2):
        model = make()
        torch.manual_seed(state)
        runs.append(train(tmp_path / str(state), model=model, corruption=Watched(), flip=True))
    (a, rows), (b, again) = runs
    assert equal(a, b)
    assert rows == again


def test_only_parameters_with_a_gradient_are_trained(tmp_path):
    model = denoiser()
    model.requires_grad_(False)
    model.network.conv_out.requires_grad_(True)
    train(tmp_path, model=model)
    fresh = dict(denoiser().named_parameters())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, fresh[name])}
    assert changed == {"network.conv_out.weight", "network.conv_out.bias"}


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = training(steps=20, warmup_steps=3)
    factors = [warmup_cosine(step, settings) for step in range(21)]
    assert factors[:4] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])
    assert factors[3:] == sorted(factors[3:], reverse=True)
    assert factors[20] == pytest.approx(0)
    assert warmup_cosine(0, training(warmup_steps=0)) == 1


def test_a_step_never_waits_for_the_device(tmp_path):
    """Reading a scalar (`.item()`, `bool(tensor)`) makes the host wait; more steps must not read more."""

    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += function is torch.ops.aten._local_scalar_dense.default
            return function(*args, **(kwargs or {}))

    counts = []
    for steps in (4, 12):
        corruption = GaussianNoise(denoiser().schedule, objective(density="log_normal"))
        with Reads() as reads:
            train(
                tmp_path / str(steps),
                image_set(60, conditions=True),
                denoiser("by class"),
                corruption,
                steps=steps,
                flip=True,
                ema_decay=0.9,
                validation_interval=100,
                checkpoint_interval=100,
                log_interval=100,
            )
        counts.append(reads.count)
    assert counts[0] == counts[1]
