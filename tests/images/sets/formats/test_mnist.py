"""MNIST's idx files, packed or not, in a folder or a zip; images and labels must belong together."""

import gzip

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import mnist
from fakes.face_archives import write_members
from fakes.set_archives import idx, mnist_members, pixels, write_folder

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("write", [write_members, write_folder])
def test_images_and_labels_are_read(tmp_path, packed, write):
    path = write(tmp_path / "mnist", mnist_members(packed=packed))
    splits = mnist.read(open_archive(path))
    (train,), (test,) = splits["train"], splits["test"]
    assert train.images.shape == (12, 28, 28)
    assert np.array_equal(train.images, pixels(12, 28, 28, seed=12))
    assert train.labels.tolist() == [*range(10), 0, 1]
    assert test.labels.tolist() == [0, 1, 2, 3, 4]
    assert test.file == "t10k-images-idx3-ubyte" + ".gz" * packed


def test_unpacked_files_win_over_packed_ones(tmp_path):
    write_folder(tmp_path / "m", mnist_members(packed=True) | mnist_members(packed=False))
    assert mnist.read(open_archive(tmp_path / "m"))["train"][0].file == "train-images-idx3-ubyte"


def refused(tmp_path, changes, message):
    members = {k: v for k, v in (mnist_members() | changes).items() if v is not None}
    with pytest.raises(DifflabError, match=message) as error:
        mnist.read(open_archive(write_folder(tmp_path / "mnist", members)))
    assert str(tmp_path / "mnist") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path, {LABELS: None}, r"neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte\.gz")


@pytest.mark.parametrize("cut", [9, 200, -1, -8])
def test_a_truncated_gzip_is_named(tmp_path, cut):
    refused(
        tmp_path, {IMAGES: mnist_members()[IMAGES][:cut]}, r"images-idx3-ubyte\.gz .*truncated or no gzip file; fetch"
    )


def test_a_file_that_is_no_gzip_is_named(tmp_path):
    refused(tmp_path, {IMAGES: b"<html>not found</html>"}, ".*truncated or no gzip file")


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x08", b"\x00\x00\x08\x03\x00", b"\x00\x00\x0d\x03" * 9])
def test_a_wrong_magic_number_is_named(tmp_path, content):
    refused(tmp_path, {IMAGES: gzip.compress(content)}, r"not start as an idx file of 3 dimensions")


def test_labels_instead_of_images_are_noticed(tmp_path):
    refused(tmp_path, {IMAGES: mnist_members()[LABELS]}, r"idx file of 3 dimensions \(bytes 0 0 8 3\)")


@pytest.mark.parametrize("change", [-100, 3])
def test_a_file_must_hold_what_its_header_announces(tmp_path, change):
    content = idx(pixels(12, 28, 28)) + bytes(3)
    content = content[: len(content) - 3 + change]
    refused(tmp_path, {IMAGES: gzip.compress(content)}, r"announces 9,408 values and has 9,\d+: fetch")


def test_images_and_labels_must_agree_in_number(tmp_path):
    labels = gzip.compress(idx(np.zeros(11, np.uint8)))
    refused(tmp_path, {LABELS: labels}, r"holds 12 images, .*labels-idx1-ubyte\.gz 11 labels: fetch both")


def test_other_images_are_not_mnist(tmp_path):
    refused(tmp_path, {IMAGES: gzip.compress(idx(pixels(12, 32, 32)))}, r"32 x 32 pixels, those of MNIST have")


def test_a_label_above_nine_is_refused(tmp_path):
    labels = gzip.compress(idx(np.full(12, 26, np.uint8)))  # as EMNIST's letters
    refused(tmp_path, {LABELS: labels}, r"holds the label 26, which is none of 0 to 9")


def test_an_empty_set_is_refused(tmp_path):
    empty = {IMAGES: gzip.compress(idx(pixels(0, 28, 28))), LABELS: gzip.compress(idx(pixels(0)))}
    refused(tmp_path, empty, "holds no labels")


def test_the_real_files(data_root):
    splits = mnist.read(open_archive(data_root / "mnist"))
    assert len(splits["train"][0].images) == 20_000
    assert np.bincount(splits["test"][0].labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


@pytest.mark.parametrize("packed", [True, False])
def test_files_are_found_in_any_case(tmp_path, packed):
    members = {name.upper(): content for name, content in mnist_members(packed=packed).items()}
    splits = mnist.read(open_archive(write_folder(tmp_path / "mnist", members)))
    assert splits["test"][0].labels.tolist() == [0, 1, 2, 3, 4]
