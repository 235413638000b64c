"""The encoders of DreamBooth's measures, from folders as they were released."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

from difflab.core.base.errors import DifflabError
from difflab.personal.image_encoders import ImageEncoder

SIDE = 32
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
IMAGES = np.stack([np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 128, 255)])


def eyes(folder, **values):
    """A preprocessor configuration with the names and forms that it had in 2021."""
    old = {"do_normalize": True, "do_resize": True, "resample": 3, "size": SIDE, **values}
    (folder / "preprocessor_config.json").write_text(json.dumps(old))


@pytest.fixture
def dino(tmp_path):
    """ViTModel as transformers converted DINO: without a pooling layer, pickled; the network, too."""
    torch.manual_seed(0)
    config = ViTConfig(**SIZES, image_size=SIDE, patch_size=16)
    model = ViTModel(config, add_pooling_layer=False).eval()
    config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    eyes(tmp_path, feature_extractor_type="ViTFeatureExtractor", image_mean=mean, image_std=std)
    return tmp_path, model, mean, std


def test_dino_is_its_class_token(dino):
    folder, model, mean, std = dino
    pixels = ((torch.tensor(IMAGES) / 255 - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = model(pixel_values=pixels).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(ImageEncoder(folder)(IMAGES), expected, atol=1e-5)


def test_clip_is_its_projected_embedding(tmp_path):
    torch.manual_seed(0)
    text = {**SIZES, "vocab_size": 50, "projection_dim": 8}
    vision = {**SIZES, "image_size": SIDE, "patch_size": 16, "projection_dim": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    model = CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    eyes(
        tmp_path, feature_extractor_type="CLIPFeatureExtractor", do_center_crop=True, crop_size=SIDE,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    with torch.no_grad():
        seen = model.vision_model(pixel_values=torch.tensor(IMAGES).permute(0, 3, 1, 2) / 127.5 - 1).pooler_output
        expected = model.visual_projection(seen).numpy()
    np.testing.assert_allclose(ImageEncoder(tmp_path)(IMAGES), expected, atol=1e-5)


def test_pictures_of_any_size_and_number_are_seen(dino):
    many = np.stack([np.asarray(Image.fromarray(IMAGES[1]).resize((50, 50)))] * 40)
    assert ImageEncoder(dino[0])(many).shape == (40, 16)


@pytest.mark.parametrize("wrong", [{"size": 16}, {"image_std": [58.4, 57.1, 57.4]}])
def test_a_preprocessor_that_does_not_fit_is_refused(dino, wrong):
    eyes(
        dino[0],
        **{"feature_extractor_type": "ViTFeatureExtractor", "image_mean": dino[2], "image_std": dino[3]} | wrong,
    )
    with pytest.raises(DifflabError, match="correct"):
        ImageEncoder(dino[0])


def test_without_a_preprocessor_a_released_model_is_refused(dino):
    (dino[0] / "preprocessor_config.json").unlink()
    with pytest.raises(DifflabError, match=r"has no preprocessor_config\.json"):
        ImageEncoder(dino[0])


def test_another_kind_of_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(DifflabError, match=r"is a bert: personal.encoders takes a ViT \(DINO\) or a CLIP"):
        ImageEncoder(tmp_path)


def test_features_that_are_not_finite_are_refused(dino):
    folder, *_ = dino
    encoder = ImageEncoder(folder)
    next(encoder.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(
        DifflabError, match="of the pictures from 0 on, what the encoder sees in number 0 is not finite"
    ):
        encoder(IMAGES)
