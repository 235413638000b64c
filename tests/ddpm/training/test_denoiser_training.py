"""The training of the pixel models: its loss, exact resume, memory layout; see test_loop.py for its core."""

import math

import pytest
import torch

from difflab.core.base.errors import DifflabError, Interrupted
from difflab.ddpm.training.denoiser_training import TrainingImages, held_out_errors
from difflab.ddpm.training.objective import GaussianNoise
from fakes.denoising import Watched, difference, equal, gaussian, image_set, press_ctrl_c, train
from fakes.device_reads import DeviceReads
from fakes.flow import runtime
from fakes.tiny import blobs, denoiser, names, objective


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
def test_a_stopped_run_is_resumed_bit_for_bit(tmp_path, ema_decay, channels_last):
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


def test_training_beats_not_training(tmp_path):
    """Of spots at other places than those it has seen."""
    held_out = TrainingImages(names(64, "unseen"), blobs(names(64, "unseen")))
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
        validate=lambda step: held_out_errors(model, held_out),
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
        train(tmp_path, images=TrainingImages([], torch.zeros(0, 1, 8, 8, dtype=torch.uint8)))


def test_a_step_never_waits_for_the_device(tmp_path):
    settings = {"flip": True, "ema_decay": 0.9}
    settings |= dict.fromkeys(["validation_interval", "checkpoint_interval", "log_interval"], 100)
    counts = []
    for steps in (4, 12):
        corruption = GaussianNoise(denoiser().schedule, objective(density="log_normal"))
        images, model = image_set(60, conditions=True), denoiser("by class")
        with DeviceReads() as reads:
            train(tmp_path / str(steps), images, model, corruption, steps=steps, **settings)
        counts.append(reads.count)
    assert counts[0] == counts[1]
