"""The text encoders load like released ones, keep captions apart as drawn, and learn to name what the encoder sees."""

import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from difflab.core.base.files import sha256_file
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.core.base.store.tensors import to_tensor
from difflab.miniature.data import blend
from difflab.miniature.data.blend import batch
from difflab.miniature.data.sources import digits
from difflab.miniature.data.templates import detailed_caption, short_caption
from difflab.miniature.data.vocabulary import DIGIT, PHOTO_WORDS
from difflab.miniature.params import EncoderParams
from difflab.miniature.zoo import small_text_encoders
from difflab.miniature.zoo.small_text_encoders import clip_encoder, draw_text_models, save_text_models
from difflab.miniature.zoo.tokenizers import clip_tokenizer
from difflab.sd3.caching.prompt_writer import TextEncoders
from difflab.training.supervised import fit
from fakes import zoo
from fakes.zoo import fit_params

FEATURES = 16


def write_text_encoders(folder, seed):
    save_text_models(folder, draw_text_models(zoo.text((32, 64, 128)), seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo") / "text"
    write_text_encoders(folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def captions():
    composites = batch(np.arange(300), seed=0, purpose="test", step=0).composites
    return sorted({make(c.attributes) for c in composites for make in (short_caption, detailed_caption)})


@pytest.fixture(scope="module")
def encoded(folder, captions):
    return TextEncoders(folder, 24, "cpu", torch.float32).encode(captions, batch_size=64)


def test_the_layout_is_that_of_an_sd3_pipeline(folder):
    assert sorted(p.name for p in folder.iterdir()) == [
        *("text_encoder", "text_encoder_2", "text_encoder_3"),
        *("tokenizer", "tokenizer_2", "tokenizer_3"),
    ]


def test_weights_depend_on_the_seed_alone(folder, tmp_path):
    torch.manual_seed(1)
    write_text_encoders(tmp_path / "again", seed=0)
    write_text_encoders(tmp_path / "other", seed=1)
    assert sha256_file(tmp_path / "again") == sha256_file(folder)
    weights = "text_encoder/model.safetensors"
    assert sha256_file(tmp_path / "other" / weights) != sha256_file(folder / weights)


def test_the_two_clip_encoders_differ(encoded):
    assert encoded["clip_l"].shape[-1] == 32
    assert encoded["clip_g"].shape[-1] == 64


@pytest.mark.parametrize("part", ["clip_l", "clip_g", "t5", "pooled"])
def test_embeddings_have_the_scale_of_unit_variance(encoded, part):
    assert 0.5 < encoded[part].std() < 2
    assert encoded[part].abs().max() < 10


@pytest.mark.parametrize(("part", "least"), [("clip_l", 0.1), ("clip_g", 0.1), ("t5", 0.1), ("pooled", 0.04)])
def test_no_two_captions_are_close(encoded, part, least):
    """Root mean square difference to the nearest caption, far above the rounding of bfloat16 (0.004)."""
    flat = encoded[part].flatten(1).float()
    distance = torch.cdist(flat, flat) / flat.shape[1] ** 0.5
    assert distance.fill_diagonal_(torch.inf).min() > least


def test_the_pooled_vector_tells_the_digit(encoded, captions):
    """A linear classifier on two thirds of the captions reads the digit of the others from one vector."""
    features = torch.cat([encoded["pooled"], torch.ones(len(captions), 1)], dim=1).double()
    named = torch.tensor([DIGIT.named(c) for c in captions])
    order = torch.randperm(len(captions), generator=torch.Generator().manual_seed(0))
    train, test = order[: 2 * len(order) // 3], order[2 * len(order) // 3 :]
    gram = features[train].T @ features[train] + 0.1 * torch.eye(features.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, features[train].T @ torch.eye(10, dtype=torch.float64)[named[train]])
    accuracy = ((features[test] @ weights).argmax(dim=1) == named[test]).double().mean()
    assert accuracy > 0.8


class PerfectEncoder:
    """A vision encoder that sees digit and photograph exactly: their one-hot code instead of pixels."""

    image_size = 32

    @staticmethod
    def preprocess(images):
        return to_tensor(images, 32)

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
    return small_text_encoders.build_sides({"text_encoder": encoder}, 10 + len(blend.PHOTO_NAMES) + 1, seed=0)


def test_the_loss_is_that_of_transformers_clip_model():
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    config = CLIPTextConfig(
        vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        projection_dim=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    side = small_text_encoders.TextSide(CLIPTextModelWithProjection(config), FEATURES)
    input_ids, features = torch.randint(2, 20, (5, 7)), torch.randn(5, FEATURES)
    texts, pictures = side.texts(input_ids), side.pictures(features)
    expected = image_text_contrastive_loss(side.log_scale.exp() * texts @ pictures.T)
    assert side(input_ids, features).item() == pytest.approx(expected.item(), rel=1e-6)
    assert texts.norm(dim=1).tolist() == pytest.approx([1.0] * 5)


def test_pairs_are_pictures_with_their_own_captions(monkeypatch, tokenizer):
    vision_encoder = PerfectEncoder(monkeypatch)
    pairs = small_text_encoders.draw_pairs(vision_encoder, tokenizer, np.arange(300), 1100, seed=0, purpose="test")
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
        return small_text_encoders.draw_pairs(vision_encoder, tokenizer, np.arange(50), 30, seed, purpose).input_ids

    assert torch.equal(draw(0, "a"), draw(0, "a"))
    assert not torch.equal(draw(0, "a"), draw(1, "a"))
    assert not torch.equal(draw(0, "a"), draw(0, "b"))


def test_captions_learn_to_name_what_the_vision_encoder_sees(monkeypatch, tokenizer, sides, tmp_path):
    """Before, the nearest caption is right by chance; after some steps it names the digits of new pictures."""
    vision_encoder = PerfectEncoder(monkeypatch)
    labels = digits().labels
    training, held_out = np.flatnonzero(labels >= 0)[::2], np.flatnonzero(labels >= 0)[1::2]
    pairs = small_text_encoders.draw_pairs(vision_encoder, tokenizer, training, 1024, 0, "training")
    new = small_text_encoders.draw_pairs(vision_encoder, tokenizer, held_out, 512, 0, "new")
    before = small_text_encoders.zero_shot_accuracy(sides.eval(), tokenizer, new)
    settings = fit_params(batch_size=96, learning_rate=5e-3)
    fit(sides, small_text_encoders.batch_loss(sides, pairs, 96, 0), settings, scratch=tmp_path, what="text")
    after = small_text_encoders.zero_shot_accuracy(sides.eval(), tokenizer, new)
    assert before["n"] == after["n"] == 512
    assert before["text_encoder_digit_accuracy"] < 0.3
    assert after["text_encoder_digit_accuracy"] > 0.9
    assert after["text_encoder_photo_accuracy"] > 0.9
