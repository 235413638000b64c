"""The vision encoder: initialisation, training data, files, and its exact form as BLIP-2's image encoder."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.miniature.params.vision_models import ZooVisionEncoderParams
from difflab.miniature.pictures import blend
from difflab.miniature.pictures.sources import digits
from difflab.models.vision import vision_encoder as vision_encoders
from difflab.models.vision import vit as vision
from difflab.training.params import FitParams

SETTINGS = ZooVisionEncoderParams(
    hub=None,
    image_size=32,
    patch_size=8,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    plain_share=0.5,
    plain_floor=0.25,
    photo_weight=0.5,
    label_smoothing=0.0,
    training=FitParams(
        steps=150,
        batch_size=32,
        learning_rate=3e-3,
        weight_decay=0.0,
        warmup_steps=4,
        max_grad_norm=1.0,
        checkpoint_interval=100,
        log_interval=100,
    ),
)
THREES = np.flatnonzero(digits().labels == 3)


@pytest.fixture
def vision_encoder() -> vision_encoders.VisionEncoder:
    """A vision encoder whose biases and gains are not at their initial zeros and ones."""
    vision_encoder = vision_encoders.build(SETTINGS, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in vision_encoder.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return vision_encoder.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1


@torch.no_grad()
def test_blip2s_image_encoder_gives_the_same_hidden_states(vision_encoder, images):
    from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel

    encoder = Blip2VisionModel(vision.blip2_vision_config(vision_encoder.vit)).eval()
    encoder.load_state_dict(vision.blip2_vision_weights(vision_encoder.vit))
    expected = vision_encoder.vit(pixel_values=images, output_hidden_states=True)
    result = encoder(pixel_values=images, output_hidden_states=True)
    torch.testing.assert_close(result.last_hidden_state, expected.last_hidden_state, atol=1e-5, rtol=0)
    assert len(result.hidden_states) == len(expected.hidden_states) == 3
    for mine, theirs in zip(result.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@torch.no_grad()
def test_files_are_a_vit_and_heads_and_the_same_bytes_each_time(vision_encoder, images, tmp_path):
    from transformers import AutoModel

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        vision_encoders.save(tmp_path / name, vision_encoder)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    loaded = vision_encoders.load(tmp_path / "a")
    assert (loaded.dim, loaded.image_size, loaded.photo_names) == (32, 32, blend.PHOTO_NAMES)
    for method in ("features", "digit_logits", "photo_logits"):
        assert torch.equal(getattr(loaded, method)(images), getattr(vision_encoder, method)(images))
    assert torch.equal(loaded(images)[0], vision_encoder.digit_logits(images))
    vit = AutoModel.from_pretrained(tmp_path / "a", add_pooling_layer=False)
    assert torch.equal(vit(pixel_values=images).last_hidden_state.mean(1), vision_encoder.features(images))


@torch.no_grad()
def test_a_vit_alone_gives_features_and_says_that_it_has_no_heads(vision_encoder, images, tmp_path):
    vision_encoder.vit.save_pretrained(tmp_path)
    loaded = vision_encoders.load(tmp_path)
    assert torch.equal(loaded.features(images), vision_encoder.features(images))
    with pytest.raises(DifflabError, match="no digit head"):
        loaded.digit_logits(images)


def test_an_absent_vision_encoder_is_one_clear_line(tmp_path):
    with pytest.raises(DifflabError, match=r"holds no vision encoder: run `dvc repro zoo_vision_encoder`"):
        vision_encoders.load(tmp_path)


def test_the_seed_decides_the_weights():
    first, again, other = (vision_encoders.build(SETTINGS, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["heads.digit.weight"], other["heads.digit.weight"])


@pytest.mark.parametrize(("hidden_size", "heads", "patch_size"), [(96, 8, 4), (32, 2, 4), (64, 4, 8)])
@torch.no_grad()
def test_each_head_first_looks_at_its_neighbour(images, hidden_size, heads, patch_size):
    torch.manual_seed(0)
    vit = vision.build_vit(hidden_size, 2, heads, 64, image_size=32, patch_size=patch_size)
    vit.set_attn_implementation("eager")
    grid = 32 // patch_size
    first = vit(pixel_values=images, output_attentions=True).attentions[0]  # [n, heads, tokens, tokens]
    neighbours = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1)][:heads]
    shares = []
    for head, (columns, rows) in enumerate(neighbours):
        for row in range(1, grid - 1):
            for column in range(1, grid - 1):
                here, there = 1 + row * grid + column, 1 + (row + rows) * grid + column + columns
                shares.append(first[:, head, here, there])
    shares = torch.stack(shares)
    assert shares.mean() > 0.75  # without this initialisation 1 / (number of tokens)
    assert (shares > 0.5).float().mean() > 0.85


@given(st.integers(1, 4), st.integers(-3, 3), st.integers(-3, 3))
def test_a_shift_takes_the_code_of_a_patch_to_that_of_another(quarter, columns, rows):
    grid, width = 7, 4 * quarter
    code = vision.position_code(grid, width).view(grid, grid, width)
    shifted = vision.position_shift(width, columns, rows) @ code[3, 3]
    torch.testing.assert_close(shifted, code[3 + rows, 3 + columns], atol=1e-5, rtol=0)


def test_the_position_code_is_sines_and_cosines_of_column_and_row():
    code = vision.position_code(4, 8).view(4, 4, 8)
    for row in range(4):
        for column in range(4):
            angles = [np.pi / 2 * column, np.pi / 4 * column, np.pi / 2 * row, np.pi / 4 * row]
            waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
            assert code[row, column].tolist() == pytest.approx(waves, abs=1e-6)


@given(st.integers(0, 149))
def test_plain_digits_give_way_linearly_to_their_floor(step):
    assert vision_encoders.plain_share(step, SETTINGS) == pytest.approx(max(0.25, 1 - step / 75))


def test_training_pictures_show_the_given_digits_and_are_keyed_by_the_step():
    first = vision_encoders.training_batch(THREES, 0, step=5, plain=3, composites=7, size=32)
    again = vision_encoders.training_batch(THREES, 0, step=5, plain=3, composites=7, size=32)
    later = vision_encoders.training_batch(THREES, 0, step=6, plain=3, composites=7, size=32)
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
    vision_encoder = vision_encoders.build(SETTINGS, seed=0)
    with torch.no_grad():
        for head in vision_encoder.heads.values():
            head.weight.zero_()
            head.bias.zero_()
        vision_encoder.heads["digit"].bias[3] = 1
        vision_encoder.heads["photo"].bias[2] = 1
    indices = np.concatenate([THREES[:5], np.flatnonzero(digits().labels == 8)[:15]])
    drawn = [
        c.photo
        for i in range(2)
        for c in blend.batch(indices, 0, "zoo vision encoder held out", i).composites
    ]
    metrics = vision_encoders.held_out_accuracy(vision_encoder, indices, seed=0, pictures=2)
    assert metrics["n"] == 40
    assert metrics["digit_accuracy"] == pytest.approx(0.25)
    assert metrics["photo_accuracy"] == pytest.approx(Counter(drawn)[blend.PHOTO_NAMES[2]] / 40)


def test_a_few_steps_teach_two_plain_digits(tmp_path):
    from difflab.training.supervised import fit

    plain = SETTINGS.model_copy(update={"plain_floor": 1.0})
    indices = np.flatnonzero(digits().labels <= 1)
    vision_encoder = vision_encoders.build(plain, seed=0)
    fit(
        vision_encoder,
        vision_encoders.batch_loss(vision_encoder, indices, 0, plain),
        plain.training,
        scratch=tmp_path,
        what="vision_encoder",
    )
    images, labels, _ = vision_encoders.training_batch(
        indices, 0, step=1000, plain=100, composites=0, size=32
    )
    with torch.no_grad():
        accuracy = (vision_encoder.eval().digit_logits(images).argmax(1) == labels).float().mean()
    assert accuracy >= 0.9
