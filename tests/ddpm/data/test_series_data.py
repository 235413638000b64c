"""What a setting trains on: pixels with their classes, one image many times, or latents as they were written."""

import pandas as pd
import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.ddpm.data.pixels import load_pixels
from difflab.ddpm.data.series_data import Split, copies, latent_split, pixel_split
from difflab.ddpm.latent_writer import write_latent_splits
from difflab.ddpm.params.series import SettingParams
from difflab.ddpm.training.training_images import TrainingImages
from difflab.images.store.image_store import ImageStore
from difflab.images.store.tensors import to_float
from difflab.images.store_writer import Sample, write_store
from fakes.set_archives import encoded

IDS = [f"set-{n:05d}" for n in range(6)]


def store(folder, classes: bool) -> ImageStore:
    columns: dict[str, object] = {"file": "", "split": ["train", "test"] * 3}
    if classes:
        columns |= {"cat": [True, False, False] * 2, "ship": [False, True, True] * 2}
    samples = [Sample(id, "", encoded(12, 12, seed=n), 12, 12) for n, id in enumerate(IDS)]
    write_store(folder, samples, pd.DataFrame(columns, index=pd.Index(IDS, name="id")), keep_absent=True)
    return ImageStore(folder)


def setting(channels: int) -> SettingParams:
    """Only its size and channels are read."""
    return SettingParams.model_construct(image_size=8, channels=channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_split_has_its_images_at_the_size_and_in_the_colours_of_the_setting(tmp_path, channels):
    images = store(tmp_path, classes=True)
    found = pixel_split(images, "train", setting(channels))
    assert found.ids == IDS[::2]
    assert found.labels == ["cat", "ship", "ship"]
    assert found.pixels.shape == (3, channels, 8, 8)
    assert torch.equal(found.pixels, load_pixels(images, IDS[::2], 8, channels))


def test_a_set_without_classes_has_no_labels(tmp_path):
    assert pixel_split(store(tmp_path, classes=False), "test", setting(3)).labels == []


def latents(*ids: str, labels: list[str] | None = None) -> Split:
    values = torch.randn(len(ids), 4, 2, 2, generator=torch.Generator().manual_seed(len(ids)))
    return Split(list(ids), values, labels or ["cat"] * len(ids))


def test_latents_come_back_by_split(tmp_path):
    written = {"train": latents(*IDS[:4], labels=["cat", "ship", "cat", "dog"]), "test": latents(*IDS[4:])}
    write_latent_splits(tmp_path, written)
    for name, split in written.items():
        found = latent_split(tmp_path, name)
        assert (found.ids, found.labels) == (split.ids, split.labels)
        assert torch.equal(found.pixels, split.pixels)
        assert found.pixels.dtype == torch.float32


def test_latents_are_the_same_bytes_every_time(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_latent_splits(tmp_path / name, {"train": latents(*IDS[:4]), "test": latents(*IDS[4:])})
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")


def test_a_view_of_a_larger_tensor_is_written_as_it_looks(tmp_path):
    whole = latents(*IDS)
    part = Split(IDS[:2], whole.pixels.flip(0)[::3].transpose(2, 3), ["cat", "ship"])
    write_latent_splits(tmp_path, {"train": part})
    assert torch.equal(latent_split(tmp_path, "train").pixels, part.pixels)


def test_copies_of_one_image_have_ids_of_their_own():
    split = latents(*IDS)
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
        copies(latents(*IDS), 6, 3, "ddpm.single_image_32.image")
