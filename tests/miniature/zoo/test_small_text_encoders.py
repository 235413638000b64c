"""The drawn text encoders load like released ones and keep captions apart."""

import numpy as np
import pytest
import torch

from difflab.core.base.files import sha256_file
from difflab.miniature.pictures.blend import batch
from difflab.miniature.words.templates import detailed_caption, short_caption
from difflab.miniature.words.vocabulary import DIGIT
from difflab.miniature.zoo.small_text_encoders import draw_text_models, save_text_models
from difflab.sd3.caching.prompt_writer import TextEncoders
from fakes import zoo


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
    digits = torch.tensor([DIGIT.named(c) for c in captions])
    order = torch.randperm(len(captions), generator=torch.Generator().manual_seed(0))
    train, test = order[: 2 * len(order) // 3], order[2 * len(order) // 3 :]
    gram = features[train].T @ features[train] + 0.1 * torch.eye(features.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, features[train].T @ torch.eye(10, dtype=torch.float64)[digits[train]])
    accuracy = ((features[test] @ weights).argmax(dim=1) == digits[test]).double().mean()
    assert accuracy > 0.8
