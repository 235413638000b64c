"""The captioner's training: exact resume, the best step by validation loss, titles drawn by seed, id and epoch."""

import os
import signal
from collections import Counter

import pytest
import torch

from difflab.captioning.training import captioner_training
from difflab.captioning.training.captioner_training import TitledFeatures, mean_loss, train_captioner
from difflab.core.base import rng
from difflab.core.base.errors import Interrupted
from difflab.training.data_order import SampleStream
from fakes import tiny_captioner as tiny


def titled(captioner, count=6, each=2, prefix="picture") -> TitledFeatures:
    ids = [f"{prefix}-{n}" for n in range(count)]
    return TitledFeatures(ids, captioner.encode(tiny.images(count)), tiny.some_titles(count, each))


def train(scratch, stop_at=None, seed=0, **changes):
    """Train a tiny captioner; optionally Ctrl-C in one step."""
    captioner = tiny.captioner(awake=False)
    calls, losses = [], captioner.token_losses

    def watched(features, captions):
        if torch.is_grad_enabled():
            calls.append(list(captions))
            if len(calls) - 1 == stop_at:
                os.kill(os.getpid(), signal.SIGINT)
        return losses(features, captions)

    captioner.token_losses = watched
    rows = train_captioner(
        captioner,
        titled(captioner),
        titled(captioner, 3, prefix="unseen"),
        tiny.training(**changes),
        seed=seed,
        scratch=scratch,
        what="captioner toy",
    )
    return captioner, rows, calls


def trained(captioner):
    return {n: p.detach().clone() for n, p in captioner.named_parameters() if p.requires_grad}


def same(a, b):
    a, b = trained(a), trained(b)
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("stop_at", [1, 6, 9])
def test_a_stopped_run_is_resumed_bit_for_bit(tmp_path, stop_at):
    """Weights and curve; dropout of features and adapters is on."""
    whole, rows, _ = train(tmp_path / "whole")
    with pytest.raises(Interrupted, match="run the same command"):
        train(tmp_path / "parts", stop_at=stop_at)
    torch.manual_seed(99)
    resumed, again, calls = train(tmp_path / "parts")
    assert same(whole, resumed)
    assert rows == again
    assert len(calls) == 12 - stop_at - 1


def test_the_weights_of_the_lowest_validation_loss_are_kept(tmp_path, monkeypatch):
    """Of the validations before training and after steps 4, 8 and 12, the third is the best."""
    given, weights = [4.0, 3.0, 1.0, 2.0], []

    def loss_of(captioner, pictures):
        assert pictures.ids[0] == "unseen-0"
        weights.append(trained(captioner))
        return given[len(weights) - 1]

    monkeypatch.setattr(captioner_training, "mean_loss", loss_of)
    captioner, rows, _ = train(tmp_path)
    assert [row["val_loss"] for row in rows] == given
    kept = trained(captioner)
    assert all(torch.equal(kept[name], weights[2][name]) for name in kept)
    assert not any(torch.equal(kept[name], weights[3][name]) for name in kept)
    assert not captioner.training


def test_the_average_of_the_weights_is_validated_and_kept(tmp_path):
    """The average trails behind the weights, which move in the same way."""
    start = trained(tiny.captioner(awake=False))
    last, rows, _ = train(tmp_path / "last", log_interval=12)
    mean, averaged, _ = train(tmp_path / "mean", log_interval=12, ema_decay=0.9)
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in averaged]
    assert rows[-1]["val_loss"] != averaged[-1]["val_loss"]
    last, mean = trained(last), trained(mean)
    moved = [sum((w[n] - start[n]).square().sum().item() for n in start) for w in (mean, last)]
    assert 0 < moved[0] < moved[1]


def test_rows_hold_training_and_validation_loss(tmp_path):
    _, rows, _ = train(tmp_path)
    assert [row["step"] for row in rows] == [0, 4, 8, 12]
    keys = {"step", "samples_seen", "train_loss", "val_loss", "learning_rate", "grad_norm"}
    assert all(set(row) == keys for row in rows)
    assert all(row["val_loss"] > 0 for row in rows)


def test_it_memorises_the_captions(tmp_path):
    captioner = tiny.captioner(awake=False, visual_dropout=0, lora={"dropout": 0, "rank": 8, "alpha": 16})
    pictures = titled(captioner, 3, each=1)
    settings = tiny.training(steps=150, batch_size=3, learning_rate=2e-2, log_interval=50)
    rows = train_captioner(captioner, pictures, pictures, settings, seed=0, scratch=tmp_path, what="toy")
    assert rows[-1]["val_loss"] < 0.05
    captions = captioner.write(pictures.features, tiny.decoding(max_new_tokens=40))
    assert [(caption,) for caption in captions] == pictures.titles


def test_the_validation_loss_is_the_mean_over_the_tokens_of_all_titles():
    captioner = tiny.captioner()
    pictures = titled(captioner, 3, each=2)
    losses = [
        captioner.token_losses(pictures.features[i : i + 1], [title])
        for i, titles in enumerate(pictures.titles)
        for title in titles
    ]
    expected = torch.cat(losses).mean().item()
    for batch_size in (1, 4, 64):
        assert mean_loss(captioner, pictures, batch_size) == pytest.approx(expected, rel=1e-5)


def test_a_title_belongs_to_seed_id_and_epoch():
    """Not to the place of the picture in the set, nor to the other pictures."""
    captioner = tiny.captioner()
    pictures = titled(captioner, 5, each=3)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = TitledFeatures(
        [pictures.ids[i] for i in order], pictures.features[order], [pictures.titles[i] for i in order]
    )
    keys = rng.id_keys(pictures.ids)
    for epoch in range(4):
        drawn = pictures.drawn_titles(torch.arange(5), rng.fold(keys, epoch))
        again = shuffled.drawn_titles(torch.arange(5), rng.fold(rng.id_keys(shuffled.ids), epoch))
        assert [drawn[i] for i in order] == again


def test_every_title_is_drawn_about_equally_often():
    captioner = tiny.captioner()
    pictures = titled(captioner, 4, each=3)
    counts = Counter()
    for epoch in range(300):
        keys = rng.fold(rng.id_keys(pictures.ids), epoch)
        counts.update(pictures.drawn_titles(torch.arange(4), keys))
    assert len(counts) == 12
    assert all(60 < count < 140 for count in counts.values())


def test_each_epoch_shows_every_picture_once_in_an_order_of_its_own(tmp_path):
    _, _, calls = train(tmp_path, steps=9, batch_size=2, log_interval=9)
    by_title = {title: n for n, titles in enumerate(tiny.some_titles(6, each=2)) for title in titles}
    epochs = [[by_title[t] for batch in calls[e * 3 : e * 3 + 3] for t in batch] for e in range(3)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    index, _ = SampleStream(rng.id_keys([f"picture-{n}" for n in range(6)]), 0).take(0, 6)
    assert epochs[0] == index.tolist()
