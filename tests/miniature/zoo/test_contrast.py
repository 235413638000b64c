"""Contrastive training: CLIP's loss, pairs that belong together, captions that name what the vision encoder sees."""

import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.params.text_models import EncoderParams
from difflab.miniature.pictures import blend
from difflab.miniature.pictures.sources import digits
from difflab.miniature.words.vocabulary import PHOTO_WORDS
from difflab.miniature.zoo import contrast
from difflab.miniature.zoo.small_text_encoders import clip_encoder
from difflab.miniature.zoo.tokenizers import clip_tokenizer
from difflab.training.supervised import fit
from fakes.zoo import fit_params

FEATURES = 16


class PerfectEncoder:
    """A vision encoder that sees digit and photograph exactly: their one-hot code instead of pixels."""

    image_size = 32

    def __init__(self, monkeypatch) -> None:
        draw = blend.batch

        def remember(*args):
            self.drawn = draw(*args)
            return self.drawn

        monkeypatch.setattr(blend, "batch", remember)

    def features(self, images):
        code = torch.zeros(len(images), 10 + len(blend.PHOTO_NAMES) + 1)
        for row, (digit, photo) in enumerate(zip(self.drawn.digits, self.drawn.photos, strict=True)):
            code[row, digit] = 1
            code[row, 10 + photo if photo >= 0 else -1] = 1
        return code


@pytest.fixture(scope="module")
def tokenizer():
    return clip_tokenizer(24)


@pytest.fixture
def sides(tokenizer):
    encoder = clip_encoder(EncoderParams(hidden_size=32, num_hidden_layers=2), tokenizer, 0, "text_encoder")
    return contrast.build({"text_encoder": encoder}, 10 + len(blend.PHOTO_NAMES) + 1, seed=0)


def test_the_loss_is_that_of_transformers_clip_model():
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    config = CLIPTextConfig(
        vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        projection_dim=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    side = contrast.TextSide(CLIPTextModelWithProjection(config), FEATURES)
    input_ids, features = torch.randint(2, 20, (5, 7)), torch.randn(5, FEATURES)
    texts, pictures = side.texts(input_ids), side.pictures(features)
    expected = image_text_contrastive_loss(side.log_scale.exp() * texts @ pictures.T)
    assert side(input_ids, features).item() == pytest.approx(expected.item(), rel=1e-6)
    assert texts.norm(dim=1).tolist() == pytest.approx([1.0] * 5)


def test_pairs_are_pictures_with_their_own_captions(monkeypatch, tokenizer):
    vision_encoder = PerfectEncoder(monkeypatch)
    pairs = contrast.draw_pairs(vision_encoder, tokenizer, np.arange(300), 1100, seed=0, purpose="test")
    assert pairs.features.shape == (1100, 23)
    assert pairs.input_ids.shape == (2, 1100, 24)
    assert torch.equal(pairs.features[:, :10].argmax(1), pairs.digits)
    words = tokenizer.batch_decode(pairs.input_ids[0], skip_special_tokens=True)
    for row in range(0, 1100, 50):
        assert NUMBER_WORDS[pairs.digits[row]] in words[row]
        plain = pairs.photos[row] < 0
        assert ("plain background" in words[row]) == plain
        if not plain:
            assert PHOTO_WORDS[blend.PHOTO_NAMES[pairs.photos[row]]] in words[row]
    assert 0.2 < (pairs.photos < 0).double().mean() < 0.3


def test_pairs_depend_on_seed_and_purpose_alone(monkeypatch, tokenizer):
    vision_encoder = PerfectEncoder(monkeypatch)

    def draw(seed, purpose):
        return contrast.draw_pairs(vision_encoder, tokenizer, np.arange(50), 30, seed, purpose).input_ids

    assert torch.equal(draw(0, "a"), draw(0, "a"))
    assert not torch.equal(draw(0, "a"), draw(1, "a"))
    assert not torch.equal(draw(0, "a"), draw(0, "b"))


def test_captions_learn_to_name_what_the_vision_encoder_sees(monkeypatch, tokenizer, sides, tmp_path):
    """Before, the nearest caption is right by chance; after some steps it names the digits of new pictures."""
    vision_encoder = PerfectEncoder(monkeypatch)
    labels = digits().labels
    training, held_out = np.flatnonzero(labels >= 0)[::2], np.flatnonzero(labels >= 0)[1::2]
    pairs = contrast.draw_pairs(vision_encoder, tokenizer, training, 1024, 0, "training")
    new = contrast.draw_pairs(vision_encoder, tokenizer, held_out, 512, 0, "new")
    before = contrast.zero_shot_accuracy(sides.eval(), tokenizer, new)
    settings = fit_params(batch_size=96, learning_rate=5e-3)
    fit(sides, contrast.batch_loss(sides, pairs, 96, 0), settings, scratch=tmp_path, what="text")
    after = contrast.zero_shot_accuracy(sides.eval(), tokenizer, new)
    assert before["n"] == after["n"] == 512
    assert before["text_encoder_digit_accuracy"] < 0.3
    assert after["text_encoder_digit_accuracy"] > 0.9
    assert after["text_encoder_photo_accuracy"] > 0.9
