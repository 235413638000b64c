"""A set as one tensor: in the order asked for, square, of one size, in colour or grey."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.ddpm.data import pixels
from difflab.ddpm.data.pixels import load_pixels
from difflab.images.store.image_store import ImageStore
from difflab.images.store.tensors import to_tensor, to_uint8
from difflab.images.store_writer import Sample, write_store

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
    monkeypatch.setattr(pixels, "_CHUNK", chunk)
    assert torch.equal(load_pixels(store, IDS, 8, 3), whole)


def test_no_images_are_an_empty_tensor(store):
    assert load_pixels(store, [], 8, 1).shape == (0, 1, 8, 8)


def test_an_unknown_id_is_named(store):
    with pytest.raises(DifflabError, match="has no image 'x'"):
        load_pixels(store, ["x"], 8, 3)
