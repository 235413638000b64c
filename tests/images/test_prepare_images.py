"""Preparing image sets: official splits, ids, classes and captions; faults are counted, named, skipped, stopped."""

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.core.base.store.captions import read_captions, write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.archives.opening import open_archive
from difflab.images.preparing.near_twins import near_twins
from difflab.images.preparing.samples import Skipped, check_splits
from difflab.images.preparing.store_writer import write_store
from difflab.images.sets.formats import image_folder
from difflab.images.sets.image_sets import class_counts, read_image_set, samples, shared_images
from fakes import pictures
from fakes.face_archives import prepare_params, write_members
from fakes.set_archives import (
    cifar10_members,
    coco_members,
    decoded,
    encoded,
    mnist_members,
    recipe_members,
    write_folder,
    write_tar,
)


def read(name, path, max_images=None, seed=0, fraction=0.3):
    archive = open_archive(path)
    return archive, read_image_set(name, archive, seed, fraction, max_images)


def prepare(folder, archive, image_set, size, non_square="crop", **settings):
    skipped = Skipped()
    found = samples(archive, image_set, size, non_square, prepare_params(**settings), skipped)
    index = write_store(folder, found, image_set.table(), keep_absent=False)
    return index, skipped


def test_cifar10_keeps_its_splits_order_and_classes(tmp_path):
    members = cifar10_members(rows=3)
    archive, image_set = read("cifar10", write_tar(tmp_path / "c.tar.gz", members))
    index, skipped = prepare(tmp_path / "out", archive, image_set, 32)
    store = ImageStore(tmp_path / "out")
    assert store.split("train") == [f"cifar10-train-{n:05d}" for n in range(15)]
    assert store.split("test") == [f"cifar10-test-{n:05d}" for n in range(3)]
    assert store.attributes.loc["cifar10-test-00000"].to_dict() == {name: name == "dog" for name in image_set.classes}
    assert store.index["file"].at["cifar10-train-00004"] == "cifar-10-batches-bin/data_batch_2.bin:1"
    row = np.frombuffer(members["cifar-10-batches-bin/data_batch_2.bin"], np.uint8)[3073 + 1 : 2 * 3073]
    stored = decoded(store.read_bytes(["cifar10-train-00004"])[0])
    assert np.array_equal(stored, row.reshape(3, 32, 32).transpose(1, 2, 0))
    assert skipped == Skipped()
    counts = class_counts(index, image_set.classes).set_index("class")
    assert counts.loc["dog"].tolist() == [2, 1]
    assert counts.loc["all"].tolist() == [15, 3]


def test_mnist_stays_grey(tmp_path):
    archive, image_set = read("mnist", write_folder(tmp_path / "m", mnist_members()))
    prepare(tmp_path / "out", archive, image_set, 28)
    store = ImageStore(tmp_path / "out")
    assert decoded(store.read_bytes(["mnist-test-00002"])[0]).shape == (28, 28)
    assert store.attributes.loc["mnist-test-00002", "two"]
    assert store.attributes.columns.tolist()[-1] == "nine"


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_the_limit_keeps_the_first_images_of_each_split(tmp_path, limit):
    path = write_folder(tmp_path / "m", mnist_members(train=12, test=5))
    _, whole = read("mnist", path)
    _, image_set = read("mnist", path, max_images=limit)
    for split in ("train", "test"):
        ids = [entry.id for entry in whole.entries if entry.split == split]
        assert [entry.id for entry in image_set.entries if entry.split == split] == ids[:limit]


@pytest.fixture
def photographs(tmp_path):
    """Forty photographs of various sizes, the last a copy of the first."""
    members = {f"{n:03d}.jpg": encoded(20 + n % 5, 20 + n % 3, seed=n) for n in range(39)}
    return write_members(tmp_path / "scenes.zip", members | {"100.jpg": members["000.jpg"]})


def test_scenes_are_split_by_their_content(tmp_path, photographs):
    archive, image_set = read("scenes", photographs)
    split = {entry.file: entry.split for entry in image_set.entries}
    assert split["100.jpg"] == split["000.jpg"]
    assert 4 <= list(split.values()).count("test") <= 20
    assert image_set.classes == ()

    more = {file: archive.read(file) for file in split} | {"000-new.jpg": encoded(20, 20, seed=99)}
    renamed = {f"x{file}": content for file, content in more.items()}
    _, grown = read("scenes", write_members(tmp_path / "more.zip", renamed))
    assert {e.file[1:]: e.split for e in grown.entries if e.file != "x000-new.jpg"} == split
    _, other = read("scenes", photographs, seed=1)
    assert {entry.file: entry.split for entry in other.entries} != split


def test_photographs_become_squares_or_are_an_error(tmp_path, photographs):
    archive, image_set = read("scenes", photographs)
    index, skipped = prepare(tmp_path / "out", archive, image_set, 16)
    assert set(index["width"]) == set(index["height"]) == {16}
    assert len(index) == 40
    assert len(skipped.cropped) == sum(n % 5 != n % 3 for n in range(39))
    with pytest.raises(DifflabError, match=r"scenes\.zip: 00\d\.jpg is not square.*images\.non_square=crop"):
        prepare(tmp_path / "out", archive, image_set, 16, non_square="error")


def test_small_and_unreadable_photographs_are_counted_or_stop(tmp_path):
    members = {f"{n}.png": encoded(16, 16, seed=n) for n in range(6)}
    members |= {"6.png": encoded(9, 16), "7.png": b"not an image", "8.png": members["1.png"][:200]}
    archive, image_set = read("scenes", write_members(tmp_path / "s.zip", members))
    index, skipped = prepare(tmp_path / "out", archive, image_set, 12, unreadable_images="skip")
    assert len(index) == 6
    assert (skipped.small, sorted(skipped.unreadable)) == (["6.png"], ["7.png", "8.png"])
    with pytest.raises(DifflabError, match=r"2 images cannot be read \(.*unreadable_images=skip"):
        prepare(tmp_path / "out", archive, image_set, 12)


def test_a_split_without_images_is_refused(tmp_path):
    archive, image_set = read("mnist", write_folder(tmp_path / "m", mnist_members()))
    index, _ = prepare(tmp_path / "out", archive, image_set, 28)
    side = "images.image_size.mnist"
    check_splits(archive, index, ("train", "test"), Skipped(), side)
    train = index[index["split"] == "train"]
    check_splits(archive, train, ("train",), Skipped(), side)
    with pytest.raises(DifflabError, match="no usable image for the split test: put more"):
        check_splits(archive, train, ("train", "test"), Skipped(), side)
    with pytest.raises(DifflabError, match=r"split train, test: 1 are smaller than images\.image_size\.mnist, lower"):
        check_splits(archive, index.iloc[:0], ("train", "test"), Skipped(small=["a.jpg"]), side)


def test_captions_carry_the_hash_of_their_image(tmp_path):
    members = coco_members({3: ["A cat.", "One cat."], 12: ["A dog."]})
    archive, image_set = read("coco", write_members(tmp_path / "coco.zip", members))
    index, _ = prepare(tmp_path / "out", archive, image_set, 16)
    assert index["id"].tolist() == ["coco-train-000000000003", "coco-train-000000000012"]
    hashes = index.set_index("id")["sha256"]
    write_captions(tmp_path / "captions.parquet", image_set.captions(hashes))
    table = read_captions(tmp_path / "captions.parquet")
    assert table[["id", "variant", "caption"]].to_numpy().tolist() == [
        ["coco-train-000000000003", "human-0", "A cat."],
        ["coco-train-000000000003", "human-1", "One cat."],
        ["coco-train-000000000012", "human-0", "A dog."],
    ]
    assert table["source_sha256"].tolist() == hashes[table["id"]].tolist()
    assert image_set.captions(hashes.iloc[:1])["id"].nunique() == 1  # none of an image that was left out


def test_an_image_folder_can_stand_for_coco(tmp_path):
    image_folder.write(tmp_path / "set" / "train", [("a.png", encoded(9, 9), ("one", "two"))])
    image_folder.write(tmp_path / "set" / "test", [("b.png", encoded(9, 9, seed=1), ())])
    archive, image_set = read("coco", tmp_path / "set")
    index, _ = prepare(tmp_path / "out", archive, image_set, 9)
    assert index["split"].tolist() == ["test", "train"]
    assert image_set.captions(index.set_index("id")["sha256"])["caption"].tolist() == ["one", "two"]


def test_absent_images_of_coco_are_an_error_or_counted(tmp_path):
    members = coco_members({3: ["A cat."], 12: ["A dog."]})
    del members["train2017/000000000003.jpg"]
    archive, image_set = read("coco", write_members(tmp_path / "coco.zip", members))
    with pytest.raises(DifflabError, match=r"1 of 2 images are absent .*absent_images=skip"):
        prepare(tmp_path / "out", archive, image_set, 16)
    index, skipped = prepare(tmp_path / "out", archive, image_set, 16, absent_images="skip")
    assert (len(index), skipped.absent) == (1, ["train2017/000000000003.jpg"])


def test_recipes_are_images_to_train_on_with_a_title_each(tmp_path):
    members = recipe_members({"miso-salmon": "Miso  Salmon", "egg": "Boiled Egg"})
    archive, image_set = read("recipes", write_members(tmp_path / "r.zip", members))
    index, skipped = prepare(tmp_path / "out", archive, image_set, 12)
    assert index["id"].tolist() == ["recipes-train-000000000000", "recipes-train-000000000001"]
    assert index["split"].tolist() == ["train", "train"]
    assert skipped.cropped == ["Food Images/miso-salmon.jpg", "Food Images/egg.jpg"]
    captions = image_set.captions(index.set_index("id")["sha256"])
    assert captions[["variant", "caption"]].to_numpy().tolist() == [
        ["human-0", "Miso Salmon"],
        ["human-0", "Boiled Egg"],
    ]


def test_titles_without_an_image_are_an_error_or_counted_and_listed(tmp_path):
    members = recipe_members([("miso-salmon", "Miso Salmon"), ("egg", "Boiled Egg"), ("#NAME?", "Pie"), ("tea", "Tea")])
    members["Food Images/egg.jpg"] = encoded(16, 12)
    archive, image_set = read("recipes", write_members(tmp_path / "r.zip", members))
    with pytest.raises(
        DifflabError,
        match=r"2 of 3 images are absent .*the first is Food Images/miso-salmon\.jpg: .*absent_images=skip",
    ):
        prepare(tmp_path / "out", archive, image_set, 12)
    index, skipped = prepare(tmp_path / "out", archive, image_set, 12, absent_images="skip")
    assert skipped.absent == ["Food Images/miso-salmon.jpg", "Food Images/tea.jpg"]
    assert image_set.dropped == {"unnamed": 1}
    assert image_set.captions(index.set_index("id")["sha256"])["caption"].tolist() == ["Boiled Egg"]


def test_test_images_that_are_in_train_are_counted(tmp_path):
    members = cifar10_members()
    members["cifar-10-batches-bin/test_batch.bin"] = members["cifar-10-batches-bin/data_batch_1.bin"]
    archive, image_set = read("cifar10", write_tar(tmp_path / "c.tar.gz", members))
    index, _ = prepare(tmp_path / "out", archive, image_set, 32)
    assert shared_images(index) == 3


def test_the_number_of_processes_changes_nothing(tmp_path, photographs):
    archive, image_set = read("scenes", photographs, max_images=6)
    for workers in (1, 2):
        prepare(tmp_path / str(workers), archive, image_set, 16, num_workers=workers)
    assert sha256_file(tmp_path / "1") == sha256_file(tmp_path / "2")


@pytest.mark.parametrize(
    ("name", "path", "size", "counts", "cropped"),
    [
        ("cifar10", "cifar10/cifar-10-binary.tar.gz", 32, (400, 400), 0),
        ("mnist", "mnist", 28, (400, 400), 0),
        ("scenes", "landscapes/landscapes.zip", 64, (44, 16), 60),
        ("coco", "coco/coco.zip", 64, (40, 0), 39),
    ],
)
def test_the_real_archives(tmp_path, data_root, name, path, size, counts, cropped):
    archive, image_set = read(name, data_root / path, max_images=400, fraction=0.2)
    index, skipped = prepare(tmp_path, archive, image_set, size)
    assert tuple(int((index["split"] == split).sum()) for split in ("train", "test")) == counts
    assert len(skipped.cropped) == cropped
    assert shared_images(index) == 0
    assert skipped.unreadable == skipped.small == skipped.absent == []


def test_test_images_that_look_like_one_to_train_on_are_named(tmp_path):
    folder = tmp_path / "f"
    first, other = (pictures.smooth(64, 64), pictures.smooth(64, 64).rotate(90))
    members = {"train/a.png": pictures.saved(first), "train/b.png": pictures.saved(other)}
    members |= {"test/a.jpg": pictures.saved(first, "JPEG", quality=60), "test/c.png": encoded(64, 64)}
    archive, image_set = read("scenes", write_folder(folder, members))
    index, skipped = prepare(tmp_path / "out", archive, image_set, 32)
    assert shared_images(index) == 0
    train, test = (index.loc[index["split"] == split, "id"] for split in ("train", "test"))
    assert near_twins(test, train, skipped.looks) == [("scenes-test-00000", "scenes-train-00000")]


def test_folders_of_splits_hold_for_scenes_too(tmp_path):
    members = {f"{part}/{n}.png": encoded(16, 16, seed=n) for n, part in enumerate(("train", "Validation", "train"))}
    archive, image_set = read("scenes", write_folder(tmp_path / "f", members | {"notes.txt": "x"}))
    assert [(e.split, e.file) for e in image_set.entries] == [
        ("test", "Validation/1.png"),
        ("train", "train/0.png"),
        ("train", "train/2.png"),
    ]
    assert archive.passed_over == {"no picture": ["notes.txt"]}
