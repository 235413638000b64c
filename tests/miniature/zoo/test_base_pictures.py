"""The captioned pictures that the base learns from: digits and photographs, never both."""

import numpy as np
import pytest
import torch

from difflab.images.store.captions import check
from difflab.miniature.pictures.sources import digits
from difflab.miniature.words.vocabulary import DIGIT, PHOTO_WORDS
from difflab.miniature.zoo import base_pictures

ALLOWED = np.arange(100, 160)


@pytest.fixture(scope="module")
def drawn():
    return base_pictures.draw(ALLOWED, 50, 0.4, 0, "training")


def test_the_shares_are_those_asked_for(drawn):
    assert drawn.images.shape == (50, 3, 32, 32)
    assert [id.split("-")[0] for id in drawn.ids] == ["digit"] * 30 + ["photo"] * 20
    assert (drawn.labels[:30] >= 0).all()
    assert (drawn.labels[30:] == -1).all()
    for fraction, count in ((0.0, 0), (1.0, 7)):
        some = base_pictures.draw(ALLOWED, 7, fraction, 0, "training")
        assert (some.labels == -1).sum() == count


def test_digits_are_of_the_given_rows_and_named_in_their_captions(drawn):
    assert set(drawn.labels[:30]) <= set(digits().labels[ALLOWED])
    for variant in base_pictures.VARIANTS:
        assert [DIGIT.named(c) for c in drawn.captions[variant][:30]] == drawn.labels[:30].tolist()
        assert all("plain background" in c for c in drawn.captions[variant][:30])


def test_digits_lie_over_one_colour(drawn):
    corners = drawn.images[:30, :, ::31, ::31].flatten(2)
    assert torch.equal(corners.amax(2), corners.amin(2))


def test_captions_of_photographs_name_the_photograph_and_no_digit(drawn):
    for variant in base_pictures.VARIANTS:
        for caption in drawn.captions[variant][30:]:
            assert sum(f"photo of {words}" in caption for words in PHOTO_WORDS.values()) == 1
            assert "handwritten" not in caption
            assert DIGIT.named(caption) < 0


def test_the_captions_form_a_caption_table(drawn):
    table = drawn.caption_table()
    check(table, "the captions")
    assert len(table) == 100


def test_pictures_belong_to_seed_and_purpose():
    def images(seed, purpose):
        return base_pictures.draw(ALLOWED, 6, 0.5, seed, purpose).images

    assert torch.equal(images(0, "training"), images(0, "training"))
    for other in (images(0, "held-out"), images(1, "training")):
        assert not torch.equal(images(0, "training")[:3], other[:3])
        assert not torch.equal(images(0, "training")[3:], other[3:])
