"""The miniature's vision encoder: its training pictures, its accuracy, and that it learns."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.miniature.data import blend
from difflab.miniature.data.sources import digits
from difflab.miniature.zoo import small_vision_encoder
from fakes.zoo import vision_encoder as vision_encoder_params

SETTINGS = vision_encoder_params()
THREES = np.flatnonzero(digits().labels == 3)


def test_the_seed_decides_the_weights():
    first, again, other = (small_vision_encoder.build(SETTINGS, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["heads.digit.weight"], other["heads.digit.weight"])


@given(st.integers(0, 149))
def test_plain_digits_give_way_linearly_to_their_floor(step):
    assert small_vision_encoder.plain_share(step, SETTINGS) == pytest.approx(max(0.25, 1 - step / 75))


def test_training_pictures_show_the_given_digits_and_are_keyed_by_the_step():
    first = small_vision_encoder.training_batch(THREES, 0, step=5, plain=3, composites=7, size=32)
    again = small_vision_encoder.training_batch(THREES, 0, step=5, plain=3, composites=7, size=32)
    later = small_vision_encoder.training_batch(THREES, 0, step=6, plain=3, composites=7, size=32)
    images, labels, photos = first
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(images, later[0])
    assert images.shape == (10, 3, 32, 32)
    assert (images.min(), images.max()) >= (-1, -1)
    assert labels.tolist() == [3] * 10
    assert photos[:3].tolist() == [-1] * 3  # plain digits have no photograph
    assert all(0 <= p < len(blend.PHOTO_NAMES) for p in photos[3:].tolist())
    assert (images[:3, :, 0, 0] == images[:3, :, -1, -1]).all()  # over one colour


def test_held_out_accuracy_counts_what_a_constant_answer_gets_right():
    vision_encoder = small_vision_encoder.build(SETTINGS, seed=0)
    with torch.no_grad():
        for head in vision_encoder.heads.values():
            head.weight.zero_()
            head.bias.zero_()
        vision_encoder.heads["digit"].bias[3] = 1
        vision_encoder.heads["photo"].bias[2] = 1
    indices = np.concatenate([THREES[:5], np.flatnonzero(digits().labels == 8)[:15]])
    drawn = [c.photo for i in range(2) for c in blend.batch(indices, 0, "zoo vision encoder held out", i).composites]
    metrics = small_vision_encoder.held_out_accuracy(vision_encoder, indices, seed=0, pictures=2)
    assert metrics["n"] == 40
    assert metrics["digit_accuracy"] == pytest.approx(0.25)
    assert metrics["photo_accuracy"] == pytest.approx(Counter(drawn)[blend.PHOTO_NAMES[2]] / 40)


def test_a_few_steps_teach_two_plain_digits(tmp_path):
    from difflab.training.supervised import fit

    plain = SETTINGS.model_copy(update={"plain_floor": 1.0})
    indices = np.flatnonzero(digits().labels <= 1)
    vision_encoder = small_vision_encoder.build(plain, seed=0)
    fit(
        vision_encoder,
        small_vision_encoder.batch_loss(vision_encoder, indices, 0, plain),
        plain.training,
        scratch=tmp_path,
        what="vision_encoder",
    )
    images, labels, _ = small_vision_encoder.training_batch(indices, 0, step=1000, plain=100, composites=0, size=32)
    with torch.no_grad():
        accuracy = (vision_encoder.eval()(images)["digit"].argmax(1) == labels).float().mean()
    assert accuracy >= 0.9
