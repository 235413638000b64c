"""The core of every training: exact resume, curve, validation, average, snapshots, states, signals."""

import os
import re
import signal
from dataclasses import asdict, dataclass

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.runtime import graceful_stop
from difflab.training.loop import Loop
from difflab.training.optimizer import adamw_with_cosine
from fakes.device_reads import DeviceReads


@dataclass
class Settings:
    steps: int = 20
    learning_rate: float = 1e-2
    weight_decay: float = 0.01
    warmup_steps: int = 3
    max_grad_norm: float = 1.0
    checkpoint_interval: int = 7
    log_interval: int = 6


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 1))


def nothing(step):
    return None


def run(scratch, act=nothing, model=None, row_interval=6, what="toy", **changes):
    """Train to sum up 4 numbers; `act` is called in each step and may return a factor of the loss."""
    keep = {
        n: changes.pop(n) for n in ("validate", "log", "save_steps", "save", "ema_decay", "keep_best") if n in changes
    }
    model, settings = model or network(), Settings(**changes)
    optimizer, schedule = adamw_with_cosine(model, settings)
    with graceful_stop(what) as stop:
        loop = Loop(
            model=model, optimizer=optimizer, schedule=schedule, settings=settings, what=what, scratch=scratch,
            stop=stop, seed=1, identity_of=[asdict(settings)], samples_per_step=4, row_interval=row_interval, **keep,
        )  # fmt: skip
        for step in loop.steps():
            factor = act(step)
            x = torch.randn(4, 4, generator=torch.Generator().manual_seed(step))
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (1.0 if factor is None else factor)
            loss.backward()
            loop.update(loss, twice=2 * loss.detach())
    return model, loop.curve.rows


def at(number, action):
    """Do something in one step."""
    return lambda step: action() if step == number else None


def press_ctrl_c(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def die():
    raise MemoryError


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


FULL = {"ema_decay": 0.9, "validate": lambda step: {"val_loss": float(step)}, "row_interval": 5}


@pytest.mark.parametrize("settings", [{}, FULL], ids=["plain", "average and validation"])
@pytest.mark.parametrize("stops", [(0,), (2, 9), (13,), (18,)])
def test_a_stopped_run_is_resumed_bit_for_bit(tmp_path, capsys, stops, settings):
    """Also dropout, batch-norm statistics, the average and the rows."""
    whole, rows = run(tmp_path / "whole", **settings)
    for number in stops:
        with pytest.raises(Interrupted, match="toy stopped with its state saved: run the same command"):
            run(tmp_path / "parts", at(number, press_ctrl_c), **settings)
    torch.manual_seed(99)  # the global generator is not part of the state and need not be
    resumed, again = run(tmp_path / "parts", **settings)
    assert f"toy: resuming from step {stops[-1] + 1}\n" in capsys.readouterr().out
    assert equal(whole, resumed)
    assert rows == again


@pytest.mark.parametrize("number", range(20))
def test_a_killed_run_is_resumed_from_its_last_state(tmp_path, number):
    """No chance to save at the end."""
    with pytest.raises(MemoryError):
        run(tmp_path / "killed", at(number, die), **FULL)
    whole, rows = run(tmp_path / "whole", **FULL)
    done = []
    resumed, again = run(tmp_path / "killed", done.append, **FULL)
    assert done[0] == number // 7 * 7
    assert equal(whole, resumed)
    assert rows == again


def truncated(content):
    return content[: len(content) // 2]


def another_number(content):
    return content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]


def another_step(content):
    changed = re.sub(rb'(progress.*?step\\": )\d', rb"\g<1>7", content, count=1)
    assert changed != content
    return changed


def another_name(content):
    return content.replace(b"param_groups", b"qaram_groups")


@pytest.mark.parametrize(
    "damage",
    [truncated, another_number, another_step, another_name, lambda content: b"", lambda content: bytes(len(content))],
)
def test_a_damaged_state_starts_afresh_and_is_named(tmp_path, damage):
    """Also one whose numbers alone have changed, or what it says beside them, which safetensors does not notice."""
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", at(9, press_ctrl_c), **FULL)
    state = tmp_path / "parts" / "toy.safetensors"
    state.write_bytes(damage(state.read_bytes()))
    with pytest.warns(UserWarning, match=r"unreadable: .*toy\.safetensors \(.*\): toy starts afresh"):
        again, rows = run(tmp_path / "parts", **FULL)
    whole, expected = run(tmp_path / "whole", **FULL)
    assert equal(whole, again)
    assert rows == expected


def test_sigterm_is_a_stop_and_the_handlers_come_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        run(tmp_path, at(3, lambda: press_ctrl_c(signal.SIGTERM)))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_inside_validation_is_resumed_bit_for_bit(tmp_path):
    """The state is saved with the weights of training, not with their average."""

    def validate(step):
        return {"val_loss": float(step)}

    def stopped(step):
        if step == 10:
            raise Interrupted("validation stopped")
        return validate(step)

    settings = {"ema_decay": 0.9, "row_interval": 5, "checkpoint_interval": 100}
    whole, rows = run(tmp_path / "whole", validate=validate, **settings)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", validate=stopped, **settings)
    done = []
    resumed, again = run(tmp_path / "parts", done.append, validate=validate, **settings)
    assert done[0] == 10
    assert equal(whole, resumed)
    assert rows == again


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, rows = run(tmp_path, **FULL)
    second, again = run(tmp_path, lambda step: die(), **FULL)
    assert equal(first, second)
    assert rows == again


def test_the_state_of_other_settings_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(DifflabError, match=r"toy\.safetensors is the state of other settings"):
        run(tmp_path, learning_rate=1e-3)


def test_a_nan_loss_is_one_line_that_names_its_step_and_keeps_the_last_good_state(tmp_path):
    state = tmp_path / "toy.safetensors"
    with pytest.raises(DifflabError) as error:
        run(tmp_path, at(11, lambda: float("nan")))
    assert str(error.value).startswith(f"toy: train_loss is nan at step 12; the last good state is kept in {state}; ")
    assert "\n" not in str(error.value)
    whole, _ = run(tmp_path / "whole")
    resumed, _ = run(tmp_path)
    assert equal(whole, resumed)


def test_a_nan_before_the_first_state_says_so(tmp_path):
    with pytest.raises(DifflabError, match="nan at step 1; no state was saved before"):
        run(tmp_path, at(0, lambda: float("nan")))


def test_rows_are_means_since_the_row_before_with_the_same_keys_in_every_study(tmp_path):
    _, rows = run(tmp_path, row_interval=5, checkpoint_interval=3, log_interval=4)
    _, single = run(tmp_path / "single", row_interval=1)
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    assert [row["samples_seen"] for row in rows] == [20, 40, 60, 80]
    keys = ["step", "samples_seen", "train_loss", "val_loss", "learning_rate", "grad_norm"]
    assert list(rows[0]) == [*keys, "twice"]
    for name in ("train_loss", "grad_norm"):
        assert rows[1][name] == pytest.approx(sum(row[name] for row in single[5:10]) / 5)
    assert rows[1]["twice"] == pytest.approx(2 * rows[1]["train_loss"])
    assert rows[0]["learning_rate"] == single[4]["learning_rate"] > rows[1]["learning_rate"]
    assert rows[0]["val_loss"] is None


def test_a_validated_run_has_a_row_before_the_first_step_and_at_the_end(tmp_path):
    logged = []
    _, rows = run(
        tmp_path,
        steps=7,
        row_interval=3,
        log_interval=4,
        validate=lambda step: {"val_loss": step + 0.5, "val_psnr": 1.0},
        log=lambda values, step: logged.append((step, values)),
    )
    assert [row["step"] for row in rows] == [0, 3, 6, 7]
    assert [row["val_loss"] for row in rows] == [0.5, 3.5, 6.5, 7.5]
    assert rows[0]["train_loss"] is rows[0]["grad_norm"] is None
    assert all(row["train_loss"] > 0 and row["val_psnr"] == 1 for row in rows[1:])
    assert [step for step, values in logged if "val_psnr" in values] == [0, 3, 6, 7]
    assert [step for step, values in logged if "train_loss" in values] == [3, 4, 6, 7]


def test_the_status_line_names_step_samples_losses_and_speed(tmp_path, capsys):
    run(tmp_path, steps=7, validate=lambda step: {"val_loss": 0.25, "val_loss_sigma_0.1": 1.0})
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("toy: step 0/7, samples 0, val_loss 0.25, learning_rate ")
    names = [part.split()[0] for part in last.removeprefix("toy: ").split(", ")]
    assert names == [
        "step", "samples", "train_loss", "grad_norm", "twice", "val_loss", "learning_rate", "samples/s", "data",
        "memory",
    ]  # fmt: skip
    assert last.startswith("toy: step 7/7, samples 28, ")


def test_validation_sees_the_average_in_eval_mode_and_does_not_disturb_training(tmp_path):
    model, seen = network(), []

    def validate(step):
        seen.append((step, model.training))
        torch.rand(3)
        return {"val_loss": model[0].weight.mean().item()}

    _, rows = run(tmp_path / "a", model=model, ema_decay=0.9, validate=validate, row_interval=1)
    assert seen == [(step, False) for step in range(21)]
    assert rows[-1]["val_loss"] == model[0].weight.mean().item()
    without, _ = run(tmp_path / "b", ema_decay=0.9)
    assert equal(model, without)


def test_the_final_weights_are_the_average_in_eval_mode(tmp_path):
    """diffusers' average with warm-up, in closed form, of the weights after each step."""
    model, raw = network(), []
    run(tmp_path, lambda step: raw.append(model[0].weight.detach().clone()), model=model, ema_decay=0.5)
    raw.append(load_file(tmp_path / "toy.safetensors")["model/0.weight"])
    expected = raw[1]
    for n, weights in enumerate(raw[2:], start=2):
        decay = min(0.5, n / (9 + n))
        expected = decay * expected + (1 - decay) * weights
    torch.testing.assert_close(model[0].weight.detach(), expected)
    assert not torch.equal(expected, raw[-1])
    assert not model.training


LOSSES = {0: 9.0, 5: 3.0, 10: 1.0, 15: 1.0, 20: 2.0}


@pytest.mark.parametrize("number", [None, 1, 8, 12, 16])
def test_the_weights_of_the_lowest_validation_loss_are_kept_also_by_a_killed_run(tmp_path, number):
    """Of two equal ones the first."""
    model, seen = network(), {}

    def validate(step):
        seen[step] = model[0].weight.detach().clone()
        return {"val_loss": LOSSES[step]}

    settings = {"keep_best": True, "row_interval": 5, "validate": validate}
    if number is not None:
        with pytest.raises(MemoryError):
            run(tmp_path, at(number, die), model=model, **settings)
        model = network()
    _, rows = run(tmp_path, model=model, **settings)
    assert [row["val_loss"] for row in rows] == list(LOSSES.values())
    assert torch.equal(model[0].weight, seen[10])
    assert not torch.equal(model[0].weight, seen[15])
    assert not model.training


def test_a_validation_loss_that_is_no_number_ends_the_training(tmp_path):
    losses = {0: 2.0, 20: float("nan")}
    with pytest.raises(DifflabError, match="val_loss is nan after step 20: lower the learning rate"):
        run(tmp_path, keep_best=True, row_interval=20, validate=lambda step: {"val_loss": losses[step]})


def test_snapshots_hold_the_averaged_weights_of_their_step(tmp_path):
    """The average after step 4 is that of a validation there; training goes on as without a snapshot."""
    model, kept, averages = network(), {}, {}
    run(
        tmp_path / "kept",
        model=model,
        ema_decay=0.9,
        save_steps=[4, 20],
        save=lambda step: kept.update({step: model[0].weight.detach().clone()}),
    )
    other = network()
    run(
        tmp_path / "seen",
        model=other,
        ema_decay=0.9,
        row_interval=1,
        validate=lambda step: averages.update({step: other[0].weight.detach().clone()}) or {},
    )
    assert list(kept) == [4, 20]
    assert all(torch.equal(kept[step], averages[step]) for step in kept)
    assert equal(model, other)


def test_only_parameters_with_a_gradient_are_trained(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    run(tmp_path, model=model)
    fresh = dict(network().named_parameters())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, fresh[name])}
    assert changed == {"2.weight", "2.bias", "3.weight", "3.bias"}


def test_global_random_state_does_not_matter(tmp_path):
    runs = []
    for seed in (1, 2):
        model = network()
        torch.manual_seed(seed)
        runs.append(run(tmp_path / str(seed), model=model))
    (a, rows), (b, again) = runs
    assert equal(a, b)
    assert rows == again


def test_a_step_never_waits_for_the_device(tmp_path):
    counts = []
    for steps in (4, 12):
        with DeviceReads() as reads:
            run(
                tmp_path / str(steps), steps=steps, ema_decay=0.9, row_interval=100, checkpoint_interval=100,
                log_interval=100,
            )  # fmt: skip
        counts.append(reads.count)
    assert counts[0] == counts[1]
