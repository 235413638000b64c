"""Archives of generated images: what is written comes back by seed and id, and parts join byte for byte."""

import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_zip
from difflab.images.generated import writer as generated_writer
from difflab.images.generated.reader import GeneratedImages
from difflab.images.generated.writer import join_generated, write_generated
from fakes.set_archives import pixels

IDS = ["hq-00003", "hq-00001", "hq-00002"]


def made(seed: int) -> list[np.ndarray]:
    return [pixels(6, 5, 3, seed=10 * seed + n) for n in range(len(IDS))]


@pytest.fixture
def path(tmp_path):
    write_generated(tmp_path / "a.zip", IDS, {7: made(7), 0: iter(made(0))})
    return tmp_path / "a.zip"


def test_images_come_back_by_seed_in_id_order_or_in_the_order_asked_for(path):
    generated = GeneratedImages(path)
    assert generated.seeds == [0, 7]
    assert generated.ids(7) == sorted(IDS)
    for seed in (0, 7):
        by_id = dict(zip(IDS, made(seed), strict=True))
        assert np.array_equal(list(map(np.asarray, generated.read(seed))), [by_id[id] for id in sorted(IDS)])
        assert np.array_equal(list(map(np.asarray, generated.read(seed, IDS[:2]))), made(seed)[:2])


def test_parts_join_as_if_they_had_been_written_together(tmp_path, path):
    for seed in (7, 0):
        write_generated(tmp_path / f"{seed}.zip", IDS, {seed: made(seed)})
    join_generated(tmp_path / "joined.zip", [tmp_path / "7.zip", tmp_path / "0.zip"])
    assert (tmp_path / "joined.zip").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"seed-{seed}/{id}.png" for seed in (7, 0) for id in IDS]


def test_every_id_needs_an_image(tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        write_generated(tmp_path / "a.zip", IDS, {0: made(0)[:2]})
    assert not (tmp_path / "a.zip").exists()


def test_an_archive_without_images_is_refused(tmp_path):
    with pytest.raises(DifflabError, match="is missing: run"):
        GeneratedImages(tmp_path / "a.zip")
    write_zip(tmp_path / "a.zip", [("seed-0/readme.txt", b"?")])
    with pytest.raises(DifflabError, match="has no generated image"):
        GeneratedImages(tmp_path / "a.zip")


def test_an_archive_is_that_of_one_thread_after_the_other(tmp_path):
    """Whatever thread is ready first, for more images than may wait."""
    ids = [f"{number:04d}" for number in range(300)]
    images = [pixels(40 if number % 7 == 0 else 3, 5, 3, seed=number) for number in range(len(ids))]
    write_generated(tmp_path / "a.zip", ids, {0: iter(images)})
    entries = ((f"seed-0/{id}.png", png_bytes(Image.fromarray(image))) for id, image in zip(ids, images, strict=True))
    write_zip(tmp_path / "b.zip", entries)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_an_image_that_cannot_be_encoded_ends_the_work_and_leaves_nothing(tmp_path, monkeypatch):
    def encode(image):
        if np.asarray(image)[0, 0, 0] == 7:
            raise OSError("broken encoder")
        return png_bytes(image)

    monkeypatch.setattr(generated_writer, "png_bytes", encode)
    drawn = []

    def images():
        for number in range(2000):
            drawn.append(number)
            yield np.full((4, 4, 3), number % 256, np.uint8)

    with pytest.raises(OSError, match="broken encoder"):
        write_generated(tmp_path / "a.zip", [str(number) for number in range(2000)], {0: images()})
    assert not list(tmp_path.iterdir())
    assert len(drawn) < 200  # few images wait


def test_images_are_encoded_while_the_next_are_made(tmp_path, monkeypatch):
    """The first is written out while the last is not made: else this would wait for ever."""
    encoded = threading.Event()

    def encode(image):
        encoded.set()
        return png_bytes(image)

    monkeypatch.setattr(generated_writer, "png_bytes", encode)

    def images():
        yield pixels(4, 4, 3)
        assert encoded.wait(30)
        yield pixels(4, 4, 3)

    write_generated(tmp_path / "a.zip", IDS[:2], {0: images()})
