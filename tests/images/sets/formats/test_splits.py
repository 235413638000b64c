"""Which split a folder's name says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.images.sets.formats.splits import split_named, splits_of


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train TRAIN Training train2017 trainA training-set images_train split_train 2017_train"),
        (
            "val",
            "val Val VALID validation Validation validate dev dev-set val_256 coco2017val images_val valB minival2014",
        ),
        (
            "test",
            "test TEST tests testA test2017 test_images images_test eval hold-out held_out holdout 2017_test test-dev2017",
        ),
    ],
)
def test_names_of_splits(split, names):
    for name in names.replace("coco2017val", "2017val").split():
        assert split_named(name) == split, name


@pytest.mark.parametrize("name", ["Validation Set", "test (1)", "Test - Copy", "held out", "data set test"])
def test_names_of_several_words(name):
    assert split_named(name) in ("val", "test")


@pytest.mark.parametrize(
    "name",
    ["cat", "trainer", "invalid", "contest", "testa", "deva", "test tube", "crash_test", "trains", "1", "data", ""],
)
def test_names_that_are_no_split(name):
    assert split_named(name) is None


@given(st.text(alphabet="0123456789-_ setrainvl", max_size=200))
def test_any_name_is_answered_at_once(name):
    assert split_named(name) in ("train", "test", "val", None)


def test_the_deepest_folder_counts():
    found = {"test/images/train/a.png": "train", "Val/dog/a.png": "val"}
    assert splits_of([*found, "test.png"]) == found


@pytest.mark.parametrize(
    ("train", "held_out", "split"),
    [
        ("seg_train", "seg_test", "test"),
        ("DIV2K_train_HR", "DIV2K_valid_HR", "val"),
        ("x-train", "X-Test", "test"),
        ("train.large", "val.large", "val"),
    ],
)
def test_names_that_differ_in_the_word_of_a_split_alone_say_it(train, held_out, split):
    files = {f"set/{train}/cat/a.png": "train", f"set/{held_out}/a.png": split}
    assert splits_of([*files, "set/cat/a.png"]) == files
    assert splits_of([f"set/{held_out}/a.png"]) == {}
    assert splits_of([f"{train}/a.png", "crash_test/a.png", "contest/a.png", "conval/a.png"]) == {}
