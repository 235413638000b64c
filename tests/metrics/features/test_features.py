"""Batches, extraction, the cache of reference features, and the classes that the vision encoder sees."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.metrics.features.features import (
    batches,
    classify,
    extract,
    extract_and_classify,
    judged_classes,
    load_extractor,
    reference_features,
    share_correct,
)
from difflab.miniature.data.vocabulary import DIGIT, PHOTO
from fakes.study_results import IDS, Extractor, Store, picture


@given(st.integers(0, 23), st.integers(1, 9))
def test_features_are_those_of_single_images_for_any_batch_size(n, batch_size):
    images = [picture(str(i)) for i in range(n)]
    extractor = Extractor()
    found = extract(images, extractor, batch_size)
    assert found.shape == (n, 12)
    for image, row in zip(images, found, strict=True):
        np.testing.assert_array_equal(extractor(image[None])[0], row)


def test_pil_images_and_one_array_give_the_same_as_a_list():
    images = np.stack([picture(str(i)) for i in range(5)])
    expected = extract(list(images), Extractor())
    np.testing.assert_array_equal(extract(images, Extractor()), expected)
    np.testing.assert_array_equal(extract([Image.fromarray(x) for x in images], Extractor()), expected)


def test_images_of_different_sizes_share_no_batch():
    sizes = [16, 16, 8, 16]
    assert [b.shape[:2] for b in batches([picture("x", s) for s in sizes], 10)] == [(2, 16), (1, 8), (1, 16)]


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "F", "P"])
def test_a_picture_that_no_decoder_brought_to_srgb_is_refused(mode):
    with pytest.raises(DifflabError, match=f"an image has the mode {mode}: RGB is needed"):
        extract([Image.new(mode, (8, 8))], Extractor())


@pytest.mark.parametrize("bad", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_an_array_that_is_no_rgb_image_of_bytes_is_refused(bad):
    with pytest.raises(DifflabError, match=r"uint8 \[H, W, 3\] is needed"):
        extract([bad], Extractor())


def test_reference_features_are_read_once_and_then_kept(tmp_path):
    store, extractor = Store(), Extractor()
    first = reference_features(store, IDS, extractor, 7, cache=tmp_path)
    again = reference_features(store, IDS, extractor, 7, cache=tmp_path)
    assert store.reads == len(IDS)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, extract(store.read(IDS), extractor))


@pytest.mark.parametrize("change", ["image", "extractor", "ids", "device"])
def test_a_change_of_images_extractor_device_or_ids_is_computed_anew(tmp_path, monkeypatch, change):
    store, extractor, ids = Store(), Extractor(), list(IDS)
    reference_features(store, ids, extractor, 7, cache=tmp_path)
    if change == "image":
        monkeypatch.setattr(store, "sha256", lambda sample: "other")
    elif change == "extractor":
        extractor.ruler = "other"
    elif change == "device":
        extractor.device = torch.device("mps")
    else:
        ids = ids[1:]
    calls = extractor.calls
    reference_features(store, ids, extractor, 7, cache=tmp_path)
    assert extractor.calls > calls


def test_the_cache_lies_outside_the_outputs_under_dvc_root(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    reference_features(Store(), IDS[:3], Extractor())
    assert len(list((tmp_path / ".scratch" / "features").glob("*.safetensors"))) == 1


def test_an_unknown_extractor_is_named(tmp_path):
    with pytest.raises(DifflabError, match="unknown feature extractor 'dino'"):
        load_extractor("dino", tmp_path)


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_the_vision_encoder_names_the_classes_of_every_head_in_order(batch_size):
    images = []
    for digit in (3, 8, 0, 5):
        image = picture(str(digit))
        image[0, 0, 0] = digit
        images.append(image)
    seen = classify(images, Extractor(), batch_size)
    assert {name: classes.tolist() for name, classes in seen.items()} == {"digit": [3, 8, 0, 5], "photo": [1, 0, 0, 1]}


def test_no_images_give_no_classes():
    assert {name: classes.shape for name, classes in classify([], Extractor()).items()} == {
        "digit": (0,),
        "photo": (0,),
    }


def test_only_classes_that_a_head_was_trained_on_are_judged():
    extractor = Extractor()
    assert judged_classes((DIGIT, PHOTO), extractor) == [DIGIT, PHOTO]
    extractor.classes = {"digit": DIGIT.columns, "photo": PHOTO.columns[:5]}
    assert judged_classes((DIGIT, PHOTO), extractor) == [DIGIT]
    extractor.classes = {}
    assert judged_classes((DIGIT, PHOTO), extractor) == []


def test_accuracy_counts_samples_with_a_class_only():
    assert share_correct(np.array([1, 2, 3, 4]), np.array([1, 2, 0, -1])) == pytest.approx(2 / 3)
    assert share_correct(np.array([1]), np.array([-1])) is None


def test_each_model_of_gpu_has_features_of_its_own(tmp_path, monkeypatch):
    store, extractor = Store(), Extractor()
    extractor.device = torch.device("cuda:0")
    for name in ("NVIDIA H100", "NVIDIA A100", "NVIDIA H100"):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, name=name: name)
        reference_features(store, IDS, extractor, 7, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_features_are_computed_in_full_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    extractor, allowed = Extractor(), []

    def look(images):
        allowed.append(torch.backends.cudnn.allow_tf32)
        return np.zeros((len(images), 12), np.float32)

    monkeypatch.setattr(Extractor, "__call__", lambda self, images: look(images))
    extract([picture("a")], extractor)
    assert allowed == [False]
    assert torch.backends.cudnn.allow_tf32


@given(st.integers(0, 23), st.integers(1, 9))
def test_one_pass_gives_the_features_and_the_classes_that_two_give(n, batch_size):
    images, extractor = [picture(str(i)) for i in range(n)], Extractor()
    features, seen = extract_and_classify(iter(images), extractor, batch_size)
    np.testing.assert_array_equal(features, extract(images, extractor, batch_size))
    for name, classes in classify(images, extractor, batch_size).items():
        np.testing.assert_array_equal(seen[name], classes)


def test_classes_of_numbers_that_are_not_finite_are_refused():
    extractor = Extractor()
    heads = extractor.vision_encoder
    extractor.vision_encoder = lambda images: {name: logits * float("nan") for name, logits in heads(images).items()}
    with pytest.raises(DifflabError, match="what the head 'digit' sees in picture number 0 is not finite"):
        classify([picture("a")], extractor)
