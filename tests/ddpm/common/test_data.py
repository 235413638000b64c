"""Image sets in memory: pixels, classes, one image many times, and latents as they were written."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from stages.ddpm.zoo_image_vae import write_latents

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.tensors import to_float, to_tensor, to_uint8
from difflab.ddpm.common import data
from difflab.ddpm.common.data import Split, class_names, copies, latent_split, load_pixels, pixel_split
from difflab.ddpm.training.denoiser_training import TrainingImages
from difflab.images.preparing.store_writer import Sample, write_store
from fakes.set_archives import encoded

SIZES = [(8, 8), (8, 8), (20, 12), (12, 20), (16, 16)]
IDS = [f"set-train-{n:05d}" for n in range(len(SIZES))]


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in SIZES]


def write(folder, arrays) -> ImageStore:
    samples = []
    for id, array in zip(IDS, arrays, strict=False):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, format="PNG")
        samples.append(Sample(id, f"{id}.png", buffer.getvalue(), array.shape[1], array.shape[0]))
    ids = pd.Index([sample.id for sample in samples], name="id")
    write_store(folder, samples, pd.DataFrame({"file": "", "split": "train"}, index=ids), keep_absent=True)
    return ImageStore(folder)


@pytest.fixture
def store(tmp_path):
    return write(tmp_path, images())


def test_images_of_the_size_come_back_exactly(store):
    found = load_pixels(store, IDS[1::-1], 8, 3)
    assert found.dtype == torch.uint8
    assert found.is_contiguous()
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), np.stack(images()[1::-1]))


def test_others_are_cropped_and_resized_as_networks_are_fed(store):
    found = load_pixels(store, IDS, 10, 3)
    assert found.shape == (5, 3, 10, 10)
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), to_uint8(to_tensor(images(), 10)))


def test_one_channel_is_the_luma_of_itu_r_601(store):
    found = load_pixels(store, IDS[:1], 8, 1)
    luma = images()[0] @ np.array([0.299, 0.587, 0.114])
    assert found.shape == (1, 1, 8, 8)
    assert np.abs(found[0, 0].numpy() - luma).max() <= 1


def test_grey_images_have_equal_channels_and_keep_their_values(tmp_path):
    grey = [image[..., 0] for image in images()]
    store = write(tmp_path, grey)
    assert np.array_equal(load_pixels(store, IDS[:1], 8, 1)[0, 0].numpy(), grey[0])
    colour = load_pixels(store, IDS[:1], 8, 3)
    assert torch.equal(colour, load_pixels(store, IDS[:1], 8, 1).expand_as(colour))


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_images_are_decoded_in_parts_that_change_nothing(store, monkeypatch, chunk):
    whole = load_pixels(store, IDS, 8, 3)
    monkeypatch.setattr(data, "_CHUNK", chunk)
    assert torch.equal(load_pixels(store, IDS, 8, 3), whole)


def test_no_images_are_an_empty_tensor(store):
    assert load_pixels(store, [], 8, 1).shape == (0, 1, 8, 8)


def test_an_unknown_id_is_named(store):
    with pytest.raises(DifflabError, match="has no image 'x'"):
        load_pixels(store, ["x"], 8, 3)


CLASS_IDS = [f"cifar10-train-{n:05d}" for n in range(4)]


def with_classes(folder: Path, **classes: list[bool]) -> ImageStore:
    columns = {"file": "", "split": "train", **classes}
    samples = [Sample(id, "", encoded(8, 8, seed=n), 8, 8) for n, id in enumerate(CLASS_IDS)]
    write_store(folder, samples, pd.DataFrame(columns, index=pd.Index(CLASS_IDS, name="id")), keep_absent=True)
    return ImageStore(folder)


def test_each_id_has_its_class_in_the_order_asked_for(tmp_path):
    images = with_classes(tmp_path, cat=[True, False, False, True], ship=[False, True, True, False])
    assert class_names(images, CLASS_IDS) == ["cat", "ship", "ship", "cat"]
    assert class_names(images, [CLASS_IDS[2], CLASS_IDS[0], CLASS_IDS[2]]) == ["ship", "cat", "ship"]
    assert class_names(images, []) == []


def test_images_without_classes_are_refused(tmp_path):
    with pytest.raises(DifflabError, match=r"the images of .* have no classes: choose another data set"):
        class_names(with_classes(tmp_path), CLASS_IDS)


@pytest.mark.parametrize("last", [(True, True), (False, False)])
def test_an_image_of_several_classes_or_of_none_is_named(tmp_path, last):
    images = with_classes(tmp_path, cat=[True, False, True, last[0]], ship=[False, True, False, last[1]])
    with pytest.raises(DifflabError, match=f"image '{CLASS_IDS[3]}' of .* has not exactly one class"):
        class_names(images, CLASS_IDS)
    assert class_names(images, CLASS_IDS[:3]) == ["cat", "ship", "cat"]


SET_IDS = [f"set-{n:05d}" for n in range(6)]


def split_store(folder, classes: bool) -> ImageStore:
    columns: dict[str, object] = {"file": "", "split": ["train", "test"] * 3}
    if classes:
        columns |= {"cat": [True, False, False] * 2, "ship": [False, True, True] * 2}
    samples = [Sample(id, "", encoded(12, 12, seed=n), 12, 12) for n, id in enumerate(SET_IDS)]
    write_store(folder, samples, pd.DataFrame(columns, index=pd.Index(SET_IDS, name="id")), keep_absent=True)
    return ImageStore(folder)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_split_has_its_images_at_the_size_and_in_the_colours_of_the_setting(tmp_path, channels):
    images = split_store(tmp_path, classes=True)
    found = pixel_split(images, "train", 8, channels)
    assert found.ids == SET_IDS[::2]
    assert found.labels == ["cat", "ship", "ship"]
    assert found.pixels.shape == (3, channels, 8, 8)
    assert torch.equal(found.pixels, load_pixels(images, SET_IDS[::2], 8, channels))


def test_a_set_without_classes_has_no_labels(tmp_path):
    assert pixel_split(split_store(tmp_path, classes=False), "test", 8, 3).labels == []


def latents(*ids: str, labels: list[str] | None = None) -> Split:
    values = torch.randn(len(ids), 4, 2, 2, generator=torch.Generator().manual_seed(len(ids)))
    return Split(list(ids), values, labels or ["cat"] * len(ids))


def test_latents_come_back_by_split(tmp_path):
    written = {"train": latents(*SET_IDS[:4], labels=["cat", "ship", "cat", "dog"]), "test": latents(*SET_IDS[4:])}
    write_latents(tmp_path, written)
    for name, split in written.items():
        found = latent_split(tmp_path, name)
        assert (found.ids, found.labels) == (split.ids, split.labels)
        assert torch.equal(found.pixels, split.pixels)
        assert found.pixels.dtype == torch.float32


def test_latents_are_the_same_bytes_every_time(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_latents(tmp_path / name, {"train": latents(*SET_IDS[:4]), "test": latents(*SET_IDS[4:])})
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")


def test_a_view_of_a_larger_tensor_is_written_as_it_looks(tmp_path):
    whole = latents(*SET_IDS)
    part = Split(SET_IDS[:2], whole.pixels.flip(0)[::3].transpose(2, 3), ["cat", "ship"])
    write_latents(tmp_path, {"train": part})
    assert torch.equal(latent_split(tmp_path, "train").pixels, part.pixels)


def test_copies_of_one_image_have_ids_of_their_own():
    split = latents(*SET_IDS)
    found = copies(split, 4, 3, "ddpm.single_image_32.image")
    assert len(set(found.ids)) == 3
    assert found.pixels.shape == (3, 4, 2, 2)
    assert all(torch.equal(one, split.pixels[4]) for one in found.pixels)
    assert found.labels == []


def test_copies_train_as_any_set_does():
    pixels = torch.arange(48, dtype=torch.uint8).view(1, 3, 4, 4)
    found = copies(Split(["scene"], pixels, []), 0, 5, "ddpm.single_image_32.image")
    images = TrainingImages(found.ids, found.pixels).to(torch.device("cpu"))
    assert torch.equal(to_float(images.pixels[torch.tensor([4, 0])]), to_float(pixels).expand(2, -1, -1, -1))


def test_an_image_that_does_not_exist_is_refused():
    with pytest.raises(
        DifflabError, match=r"ddpm\.single_image_32\.image is 6: there are 6 training images, counted from 0"
    ):
        copies(latents(*SET_IDS), 6, 3, "ddpm.single_image_32.image")
