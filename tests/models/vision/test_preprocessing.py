"""A vision model sees a picture as its own preprocessor configuration says: checked against transformers."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoImageProcessor, CLIPImageProcessor, ViTImageProcessor

from difflab.captioning.captioner_model.captioner_folder import new_captioner
from difflab.captioning.captioner_model.visual_prefix import pooled
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import to_tensor
from difflab.models.vision import vision_encoder
from difflab.models.vision.preprocessing import Preprocessor, normalised
from fakes import tiny_captioner as tiny

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP = {"image_mean": [0.481, 0.458, 0.408], "image_std": [0.269, 0.261, 0.276]}
SQUARE = {"height": 16, "width": 16}
OTHERS = {
    "imagenet": lambda: ViTImageProcessor(size=SQUARE, **IMAGENET),
    "clip": lambda: CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=SQUARE, **CLIP),
    "enlarged": lambda: CLIPImageProcessor(size={"shortest_edge": 20}, crop_size=SQUARE, **IMAGENET),
    "nearest": lambda: ViTImageProcessor(size=SQUARE, resample=0),
    "in 0 to 1": lambda: ViTImageProcessor(size=SQUARE, do_normalize=False),
    "by the factor": lambda: ViTImageProcessor(size=SQUARE, rescale_factor=1 / 127.5, image_mean=[1] * 3),
}  # fmt: skip


def pictures(width: int, height: int) -> list[Image.Image]:
    draw = np.random.default_rng(width * 100 + height)
    return [Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(2)]


@pytest.mark.parametrize("name", OTHERS)
@settings(max_examples=5, deadline=None)
@given(st.integers(16, 40), st.integers(16, 40))
def test_it_is_what_transformers_makes_of_the_same_configuration(name, tmp_path_factory, width, height):
    folder = tmp_path_factory.mktemp("model")
    OTHERS[name]().save_pretrained(folder)
    shown = pictures(width, height)
    right = AutoImageProcessor.from_pretrained(folder, backend="pil")(shown, return_tensors="pt")["pixel_values"]
    for given_as in (shown, list(map(np.asarray, shown)), np.stack(shown)):
        assert torch.equal(Preprocessor(folder, 16)(given_as), right)


def test_a_captioner_and_the_features_of_its_encoder_see_alike(tmp_path):
    models = tiny.save_roles(tmp_path)
    OTHERS["imagenet"]().save_pretrained(models / "vision_encoder")
    shown = [Image.fromarray(image) for image in tiny.images(3, 24)]
    pixels = OTHERS["imagenet"]()(shown, return_tensors="pt")["pixel_values"]
    right = tiny.encoder()(pixel_values=pixels).last_hidden_state
    captioner = new_captioner(tiny.params(), 0, "cpu", torch.float32, models)
    assert torch.allclose(captioner.encode(shown), pooled(right, 2), atol=1e-3)
    loaded = vision_encoder.load(models / "vision_encoder")
    assert torch.allclose(loaded.features(loaded.preprocess(shown)), right.mean(1), atol=1e-3)


def test_without_a_configuration_it_is_the_rule_of_models_that_are_trained_here(tmp_path):
    shown = pictures(24, 19)
    assert torch.equal(Preprocessor(tmp_path, 16)(shown), to_tensor(shown, 16))
    with pytest.raises(DifflabError, match=r"has no preprocessor_config\.json"):
        Preprocessor(tmp_path, 16, trained_here=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": {"height": 32, "width": 32}}, r"makes pictures \(3, 32, 32\), the network takes \(3, 16, 16\)"),
        ({"image_std": [0.2, 0.0, 0.2]}, "std > 0"),
        ({"image_mean": [0.5]}, "three numbers each"),
        ({"image_processor_type": "Nonsense"}, "of no known kind"),
        ({"do_resize": False}, r"the network takes \(3, 16, 16\)"),
        ({"size": {"height": -16, "width": 16}}, "correct its preprocessor configuration"),
        ({"image_mean": 0.5}, "three numbers each"),
        ({"rescale_factor": 0}, "rescale_factor of its preprocessor is 0: it must be above 0"),
        ({"rescale_factor": None}, "unreadable"),
        ({"do_rescale": False}, "its pixels are 0 to 255: correct image_mean, do_rescale"),
        ({"image_mean": [123.7, 116.3, 103.5]}, "its pixels are 0 to 1: correct image_mean, do_rescale"),
        ({"image_std": [58.4, 57.1, 57.4]}, "its pixels are 0 to 1: correct image_std, do_rescale"),
        ({"do_rescale": False, "image_mean": [0, 0, 0]}, "its pixels are 0 to 255: correct image_std, do_rescale"),
        ({"image_mean": ["0.5", "0.5", "0.5"]}, "three numbers each"),
        ({"do_normalize": "false"}, "do_normalize of its preprocessor is 'false': it must be true or false"),
        ({"resample": "bicubic"}, "resample of its preprocessor is 'bicubic': it must be a number from 0 to 5"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path, change, message):
    ViTImageProcessor(size=SQUARE).save_pretrained(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DifflabError, match=message):
        Preprocessor(tmp_path, 16)


def test_a_network_of_other_pictures_than_squares_is_refused(tmp_path):
    ViTImageProcessor(size={"height": 16, "width": 24}).save_pretrained(tmp_path)
    with pytest.raises(DifflabError, match=r"image_size of its config.json is \[16, 24\]: one number is needed"):
        Preprocessor(tmp_path, [16, 24])


def test_a_damaged_configuration_is_refused(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(DifflabError, match="damaged"):
        Preprocessor(tmp_path, 16)


@pytest.mark.parametrize("name", ["imagenet", "in 0 to 1", "by the factor"])
def test_what_a_model_is_trained_on_is_what_its_processor_makes(name, tmp_path):
    OTHERS[name]().save_pretrained(tmp_path)
    eyes, images = Preprocessor(tmp_path, 16), tiny.images(3)
    assert torch.allclose(normalised(images, 16, eyes.mean, eyes.std), eyes(images), atol=1e-5)


def test_pixels_of_models_that_are_trained_here_are_those_of_to_tensor():
    assert torch.equal(normalised(tiny.images(3), 16, [0.5] * 3, [0.5] * 3), to_tensor(tiny.images(3), 16))
