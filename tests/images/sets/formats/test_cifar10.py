"""CIFAR-10's binary version: rows of a label and three planes, in the archive or its folder."""

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import cifar10
from fakes.set_archives import CLASSES, cifar10_members, write_folder, write_tar

FOLDER = "cifar-10-batches-bin/"


@pytest.fixture(params=["tar", "folder", "batches folder"])
def archive(request, tmp_path):
    if request.param == "tar":
        return open_archive(write_tar(tmp_path / "cifar-10-binary.tar.gz", cifar10_members()))
    folder = write_folder(tmp_path / "cifar", cifar10_members())
    return open_archive(folder / FOLDER if request.param == "batches folder" else folder)


def test_names_labels_and_planes(archive):
    names, batches = cifar10.read(archive)
    assert names == CLASSES
    assert [len(batch.images) for batch in batches["train"]] == [3] * 5
    (test,) = batches["test"]
    assert test.labels.tolist() == [5, 6, 7]
    assert test.file.endswith("test_batch.bin")
    assert test.images.shape == (3, 32, 32, 3)
    row = np.frombuffer(cifar10_members()[f"{FOLDER}test_batch.bin"], np.uint8)[3073 : 2 * 3073]
    red, green, blue = row[1:].reshape(3, 32, 32)
    assert np.array_equal(test.images[1], np.stack([red, green, blue], axis=-1))


def refused(tmp_path, members, message):
    archive = open_archive(write_tar(tmp_path / "cifar-10-binary.tar.gz", members))
    with pytest.raises(DifflabError, match=message) as error:
        cifar10.read(archive)
    assert "cifar-10-binary.tar.gz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 3072, b"\x00" * 3074])
def test_a_file_that_is_not_rows_is_named(tmp_path, content):
    members = cifar10_members() | {f"{FOLDER}data_batch_4.bin": content}
    refused(tmp_path, members, r"data_batch_4\.bin has [\d,]+ bytes, .*not rows of 3,073: fetch")


def test_a_label_above_nine_is_named_by_row(tmp_path):
    rows = np.zeros((3, 3073), np.uint8)
    rows[1, 0] = 10
    members = cifar10_members() | {f"{FOLDER}data_batch_2.bin": rows.tobytes()}
    refused(tmp_path, members, r"data_batch_2\.bin, row 2: the label 10 is none of 0 to 9.*binary version")


@pytest.mark.parametrize("file", ["data_batch_1.bin", "data_batch_5.bin", "test_batch.bin"])
def test_a_missing_batch_is_named(tmp_path, file):
    members = cifar10_members()
    del members[FOLDER + file]
    refused(tmp_path, members, rf"has no {file}: fetch the whole")


@pytest.mark.parametrize("names", [CLASSES[:9], CLASSES[:9] * 2])
def test_ten_different_names_are_needed(tmp_path, names):
    members = cifar10_members() | {f"{FOLDER}batches.meta.txt": "\n".join(names).encode()}
    refused(tmp_path, members, r"names 9 classes in (9|18) lines instead of 10")


def test_the_python_version_is_another_archive(tmp_path):
    members = {"cifar-10-batches-py/data_batch_1": b"\x80\x02}", "cifar-10-batches-py/batches.meta": b"\x80"}
    refused(tmp_path, members, r"has no batches\.meta\.txt: is it the official archive")


def test_the_real_archive(data_root):
    names, batches = cifar10.read(open_archive(data_root / "cifar10" / "cifar-10-binary.tar.gz"))
    assert names == CLASSES
    assert [len(batch.labels) for batch in batches["train"]] == [1017] * 5
    train = np.concatenate([batch.labels for batch in batches["train"]])
    assert np.bincount(train).tolist() == [517, 524, 490, 493, 537, 475, 503, 516, 529, 501]
    assert np.bincount(batches["test"][0].labels).tolist() == [105, 93, 100, 104, 92, 87, 114, 102, 110, 110]


@pytest.mark.parametrize("form", ["utf-8-sig", "utf-16"])
def test_names_of_classes_are_without_the_mark_of_their_encoding(tmp_path, form):
    members = cifar10_members() | {f"{FOLDER}batches.meta.txt": "\r\n".join(CLASSES).encode(form)}
    names, _ = cifar10.read(open_archive(write_folder(tmp_path / "cifar", members)))
    assert names == CLASSES
