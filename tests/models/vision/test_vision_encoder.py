"""The vision encoder's files and heads."""

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.miniature.zoo import small_vision_encoder
from difflab.models.vision.vision_encoder import VisionEncoder, load, save
from fakes import zoo

CLASSES = {"colour": ("red", "green", "blue"), "size": ("large", "small")}


@pytest.fixture
def vision_encoder() -> VisionEncoder:
    return VisionEncoder(small_vision_encoder.build(zoo.vision_encoder(), seed=0).vit, CLASSES).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1


@torch.no_grad()
def test_files_are_a_vit_and_heads_and_the_same_bytes_each_time(vision_encoder, images, tmp_path):
    from transformers import AutoModel

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(tmp_path / name, vision_encoder)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    loaded = load(tmp_path / "a")
    assert (loaded.dim, loaded.image_size, loaded.classes) == (32, 32, CLASSES)
    logits = loaded(images)
    assert {name: values.shape for name, values in logits.items()} == {"colour": (3, 3), "size": (3, 2)}
    assert all(torch.equal(values, vision_encoder(images)[name]) for name, values in logits.items())
    vit = AutoModel.from_pretrained(tmp_path / "a", add_pooling_layer=False)
    assert torch.equal(vit(pixel_values=images).last_hidden_state.mean(1), vision_encoder.features(images))


@torch.no_grad()
def test_a_vit_alone_gives_features_and_has_no_heads(vision_encoder, images, tmp_path):
    vision_encoder.vit.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert torch.equal(loaded.features(images), vision_encoder.features(images))
    assert (loaded.classes, loaded(images)) == ({}, {})


def test_an_absent_vision_encoder_is_one_clear_line(tmp_path):
    with pytest.raises(DifflabError, match=r"holds no vision encoder: run `dvc repro zoo_vision_encoder`"):
        load(tmp_path)
