"""What is asked of the miniature's own archives is what they hold, or refused before a stage reads them."""

import copy

import pytest

from difflab.bundled_limits import check_bundled
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import check_params, read_values
from difflab.miniature.archives.subjects import PICTURES


@pytest.fixture
def values(root):
    return copy.deepcopy(read_values(root / "params.yaml"))


def refused(values, message):
    with pytest.raises(DifflabError, match=message) as caught:
        check_bundled(check_params(values, "params.yaml"), "params.yaml")
    assert "\n" not in str(caught.value)


def test_the_default_is_what_they_hold(values):
    check_bundled(check_params(values, "params.yaml"), "params.yaml")


@pytest.mark.parametrize(
    ("data_set", "name", "near"), [("miniature", "Invertd", "Inverted"), ("celeba", "male", "Male")]
)
def test_an_attribute_that_no_picture_has_is_named(values, data_set, name, near):
    values["split"]["stratify"][data_set] = [name]
    refused(values, rf"split\.stratify\.{data_set}: there is no attribute '{name}'; did you mean '{near}'")


def test_subjects_of_one_s_own_lie_in_the_data_root(values):
    values["personal"]["subjects"] = [{"name": "dog", "class_word": "dog"}]
    refused(values, r"names dog, and the bundled subjects are .*: put your own into the data root")
    values["data"]["subjects"]["source"] = "data_root"
    check_bundled(check_params(values, "params.yaml"), "params.yaml")


@pytest.mark.parametrize(("leave_out", "most"), [(3, 9), (1, 11), (12, 0), (20, 0)])
def test_more_pictures_than_a_subject_has_are_refused(values, leave_out, most):
    values["personal"] |= {"pictures": [most + 1], "leave_out": leave_out}
    refused(values, rf"lists {most + 1}, but of {PICTURES} pictures .* {leave_out} are left out: {most} at most")


def test_a_part_of_the_split_that_is_too_small_to_be_scored_is_refused(values):
    values["split"]["val_fraction"] = 0.05
    refused(values, r"of 1,500 rows the split val gets 75, and score needs 100 of it: .* lower score\.min_images")
