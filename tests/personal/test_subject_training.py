"""Training: the captions reach the text encoder, the priors hold what they say, and a run is repeated bit by bit."""

import pytest
import torch

from difflab.core.base.errors import Interrupted
from difflab.core.params.common import RuntimeParams
from difflab.personal import methods
from difflab.personal.base import Base
from difflab.personal.priors import ClassImages
from difflab.personal.subject_training import Pictures, Preservation, mask_weights, train_subject
from difflab.personal.words import Words
from fakes import tiny_pipelines

WORDS = Words("sks", "digit")
RUNTIME = RuntimeParams(num_threads=1, processes=1, device="cpu", dtype="float32", compile=False, numerics="pinned")
TEXTS = [["a sks digit over coffee"], ["sks digit", "the sks digit"]]
CLASS_TEXTS = [["a digit over coffee"], ["digit", "the digit"]]


def pictures(weights=None):
    latents = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    return Pictures(latents, TEXTS, CLASS_TEXTS, weights)


def train(params, scratch, base=None, method="full", prior=None, weights=None, steps=6, rate=1e-2, **options):
    base = base or Base(tiny_pipelines.pipeline("sd"))
    trained = methods.prepare(base, method, params().lora, WORDS, 0)
    changes = {"steps": steps, "learning_rate": rate, "log_interval": 3, "checkpoint_interval": 2, "warmup_steps": 1}
    settings = params().training.model_copy(update=changes)
    rows = train_subject(
        base, trained, pictures(weights), prior or Preservation(1.0), settings, seed=0, runtime=RUNTIME,
        scratch=scratch, what="personal test", **options,
    )  # fmt: skip
    return base, rows


def test_the_captions_are_what_the_text_encoder_reads(tmp_path, params, monkeypatch):
    base, seen = Base(tiny_pipelines.pipeline("sd")), []
    encoder = base.text_encoder()
    encoder.register_forward_pre_hook(lambda m, a, kw: seen.append(kw["input_ids"].clone()), with_kwargs=True)
    train(params, tmp_path, base)
    read = {tuple(ids.tolist()) for batch in seen for ids in batch}
    expected = {tuple(base.token_ids([text])[0].tolist()) for texts in TEXTS for text in texts}
    assert read == expected


def test_the_subject_is_learnt(tmp_path, params):
    _, rows = train(params, tmp_path, steps=60)
    assert rows[-1]["subject_loss"] < 0.7 * rows[0]["subject_loss"]


def test_a_training_is_the_same_every_time_and_after_a_stop(tmp_path, params):
    def stop(step):
        raise Interrupted("stopped")

    whole, rows = train(params, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(params, tmp_path / "cut", save_steps=[4], save=stop)
    again, resumed = train(params, tmp_path / "cut")
    assert rows == resumed
    for a, b in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def drift(base, text="a digit over coffee"):
    """How far the prediction for the class word has moved from the base's."""
    other = Base(tiny_pipelines.pipeline("sd"))
    x = torch.randn(4, 4, 4, 4, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        a, b = (m.predict(x, torch.tensor([100, 300, 500, 900]), m.encode([text] * 4)) for m in (base, other))
    return (a - b).square().mean().item()


def test_the_output_prior_keeps_the_class_word_where_it_was(tmp_path, params):
    free, _ = train(params, tmp_path / "none", steps=40)
    held, rows = train(
        params, tmp_path / "output", steps=40, prior=Preservation(10.0, output_of=Base(tiny_pipelines.pipeline("sd")))
    )
    assert drift(held) < 0.7 * drift(free)
    assert rows[-1]["prior_loss"] > 0


def test_class_images_are_trained_on_with_their_prompts(tmp_path, params):
    images = ClassImages(torch.zeros(3, 4, 4, 4), ["digit"] * 3)
    base, seen = Base(tiny_pipelines.pipeline("sd")), []
    base.text_encoder().register_forward_pre_hook(lambda m, a, kw: seen.append(kw["input_ids"]), with_kwargs=True)
    _, rows = train(params, tmp_path, base, prior=Preservation(1.0, images=images), steps=3)
    ids = base.token_ids(["digit"])[0]
    assert sum(bool((batch == ids).all()) for batch in seen) == 3
    assert rows[-1]["train_loss"] == pytest.approx(rows[-1]["subject_loss"] + rows[-1]["prior_loss"], rel=1e-5)


def test_the_loss_sees_what_the_mask_shows_alone(tmp_path, params):
    mask = torch.zeros(2, 16, 16)
    mask[:, :, :8] = 1
    weights = mask_weights(mask, (4, 4))
    assert weights.shape == (2, 1, 4, 4)
    assert weights[0, 0, 0].tolist() == [2, 2, 0, 0]  # the mean is 1, as without a mask

    _, masked = train(params, tmp_path / "a", weights=weights)
    _, plain = train(params, tmp_path / "b")
    assert masked[0]["subject_loss"] != plain[0]["subject_loss"]
    _, even = train(params, tmp_path / "c", weights=torch.ones(2, 1, 4, 4))
    assert even == plain


def test_a_flow_model_is_trained_too(tmp_path, params):
    base = Base(tiny_pipelines.pipeline("sd3"))
    _, rows = train(params, tmp_path, base, method="lora", steps=3)
    assert rows[-1]["subject_loss"] > 0
