"""The miniature's image sets: upstream formats, always the same bytes, nothing held out is seen in training."""

import csv
import io
import itertools
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from difflab.images.archives.opening import open_archive
from difflab.images.archives.pictures import list_pictures
from difflab.images.sets.formats import cifar10, coco, mnist, recipes
from difflab.miniature.archives import set_archives, set_pictures
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.sources import digits, photos
from difflab.miniature.data.templates import sentences
from difflab.miniature.data.vocabulary import named

WRITERS = {
    "cifar-10-binary.tar.gz": set_archives.write_cifar10,
    "mnist": set_archives.write_mnist,
    "landscapes.zip": set_archives.write_scenes,
    "coco.zip": set_archives.write_coco,
    "recipes.zip": set_archives.write_recipes,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miniature")
    for name, write in WRITERS.items():
        write(folder / name, 0)
    return folder


def test_cifar10_has_ten_classes_of_equal_size(folder):
    names, batches = cifar10.read(open_archive(folder / "cifar-10-binary.tar.gz"))
    assert names == ("astronaut", "cat", "coffee", "coins", "flower", "galaxies", "motorcycle", "retina",
                     "rocket", "temple")  # fmt: skip
    assert [len(batch.labels) for batch in batches["train"]] == [300] * 5
    train = np.concatenate([batch.labels for batch in batches["train"]])
    assert np.bincount(train).tolist() == [150] * 10
    assert np.bincount(batches["test"][0].labels).tolist() == [30] * 10


def disjoint(a: set_pictures.Box, b: set_pictures.Box) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("name", set_pictures.CLASSES)
def test_train_and_test_crops_come_from_disjoint_regions(name):
    train, test = set_pictures.CLASSES[name]
    assert disjoint(train, test)
    assert all(0 <= share <= 1 for box in (train, test) for share in box)


def test_crops_are_never_enlarged():
    for name, regions in set_pictures.CLASSES.items():
        height, width, _ = photos()[name].shape
        for left, top, right, bottom in regions:
            assert min((right - left) * width, (bottom - top) * height) / 2 >= set_pictures.CROP_SIDE


def test_crops_have_natural_detail(folder):
    """Neighbouring pixels differ as in small photographs, not as in enlarged ones; no two crops are equal."""
    _, batches = cifar10.read(open_archive(folder / "cifar-10-binary.tar.gz"))
    images = np.concatenate([batch.images for batch in [*batches["train"], *batches["test"]]])
    assert np.abs(np.diff(images.astype(float), axis=2)).mean() > 8
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == 1800


def test_mnist_shows_every_digit_once(folder):
    splits = mnist.read(open_archive(folder / "mnist"))
    (train,), (test,) = splits["train"], splits["test"]
    assert (len(train.labels), len(test.labels)) == (1497, 300)
    labels = np.concatenate([train.labels, test.labels])
    assert np.array_equal(np.bincount(labels), np.bincount(digits().labels))
    images = np.concatenate([train.images, test.images])
    assert len(np.unique(images.reshape(1797, -1), axis=0)) == 1797
    order = np.concatenate([set_pictures.large_digits(split, 0)[1] for split in ("train", "test")])
    assert np.array_equal(order, labels)


def test_digits_are_light_and_stand_in_the_middle_of_an_empty_margin(folder):
    images = mnist.read(open_archive(folder / "mnist"))["train"][0].images
    middle = images[:, 4:24, 4:24]
    assert middle.sum() == images.sum()
    assert middle.max(axis=(1, 2)).min() >= 250
    assert 0.05 < images.mean() / 255 < 0.2


def test_scenes_are_sixty_photographs_of_various_shapes(folder):
    archive = open_archive(folder / "landscapes.zip")
    files = list_pictures(archive)
    sizes = [Image.open(io.BytesIO(archive.read(file))).size for file in files]
    assert len(files) == 60
    assert all(96 <= side <= 160 for size in sizes for side in size)
    assert sum(width != height for width, height in sizes) > 20


def test_no_two_scenes_of_a_photograph_share_a_pixel():
    boxes = [set_pictures.scene_box(part) for part in range(5)]
    assert all(disjoint(a, b) for a, b in itertools.combinations(boxes, 2))
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) == pytest.approx(1)


def test_coco_has_five_captions_for_each_image(folder):
    archive = open_archive(folder / "coco.zip")
    images = coco.read(archive)["train"]
    assert len(images) == 40
    assert all(len(set(image.captions)) == 5 and archive.has(image.file) for image in images)
    assert {len(archive.read(image.file)) > 1000 for image in images} == {True}


def test_captions_are_true_of_their_pictures():
    pictures = set_pictures.captioned(0)
    assert sorted(picture.digit for picture in pictures) == sorted(list(range(10)) * 4)
    assert {picture.photo for picture in pictures} == set(photos())
    for picture in pictures:
        text = " ".join(sentences(picture))
        for name, word in (("Large", "large"), ("Thin", "thin"), ("Red_Digit", "red"), ("Grey", "grey")):
            assert (f" {word} " in text) == picture.attributes[name]
        assert (" white " in text) == (
            not picture.attributes["Inverted"]
            and not any(picture.attributes[f"{c}_Digit"] for c in ("Red", "Yellow", "Green", "Blue"))
        )
        assert f"digit {picture.digit} " in text


def test_recipes_are_1320_pictures_with_a_title_of_their_own(folder):
    archive = open_archive(folder / "recipes.zip")
    images = recipes.read(archive)["train"]
    assert len({image.captions for image in images}) == len({image.file for image in images}) == 1320
    sizes = {Image.open(io.BytesIO(archive.read(image.file))).size for image in images}
    assert sizes == {(32, 32)}
    header, *rows = csv.reader(io.StringIO(archive.read(set_archives.RECIPES).decode()))
    assert header == ["", "Title", "Ingredients", "Instructions", "Image_Name", "Cleaned_Ingredients"]
    assert [row[0] for row in rows] == [str(n) for n in range(1320)]
    assert all(len(row) == 6 and all(row) for row in rows)


def test_titles_are_true_of_their_pictures_and_every_pair_comes_equally_often():
    titled = set_pictures.titled(0)
    pairs = [(picture.digit, picture.photo) for picture, _ in titled]
    assert Counter(pairs) == {(digit, name): 11 for digit in range(10) for name in photos()}
    assert all(title in titles(*pair) for (_, title), pair in zip(titled, pairs, strict=True))
    assert [named(title) for _, title in titled] == [(digit, PHOTO_NAMES.index(name)) for digit, name in pairs]
    assert len({digit for digit, _ in pairs[:40]}) > 1  # in random order


def test_every_titled_picture_shows_another_handwritten_digit(monkeypatch):
    drawn = []
    compose = set_pictures.compose_many
    monkeypatch.setattr(set_pictures, "compose_many", lambda rows, *a: drawn.extend(rows) or compose(rows, *a))
    titled = set_pictures.titled(0)
    assert len(set(drawn)) == 1320
    assert np.bincount(digits().labels[drawn]).tolist() == [132] * 10
    assert len(np.unique([picture.image.reshape(-1) for picture, _ in titled], axis=0)) == 1320
