"""Which captions name the digit and the photograph of their picture."""

import pytest

from difflab.captioning.scoring.named import MEASURES, are_named, rightly_named
from difflab.core.base.errors import DifflabError
from difflab.miniature.words.digit_titles import titles

TITLES = {
    "b": ["Handwritten Three over Coffee", "Coffee under a Three"],
    "a": ["Handwritten Nine over a Cat"],
    "c": ["Zero on Bricks"],
    "d": ["Five over Coins"],
}
CAPTIONS = {
    "a": "the cat behind the number 9",
    "b": "Handwritten Three over a Rocket",
    "c": "one on bricks",
    "d": "four and five over a temple",  # two digits: undecided, so wrong
}


def test_digit_photograph_and_both_are_told_apart():
    frame = rightly_named(CAPTIONS, TITLES)
    assert frame["id"].tolist() == ["a", "b", "c", "d"]
    assert frame[list(MEASURES)].to_numpy().tolist() == [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert (frame.dtypes[list(MEASURES)] == "float64").all()


@pytest.mark.parametrize("digit", range(10))
def test_every_title_of_a_picture_names_it(digit):
    texts = titles(digit, "Rocket")
    found = rightly_named(dict(enumerate(texts)), {i: [texts[0]] for i in range(len(texts))})
    assert found["both_named"].mean() == 1


def test_an_empty_caption_is_wrong():
    assert rightly_named({"a": ""}, {"a": TITLES["a"]})["both_named"].tolist() == [0]


def test_an_image_of_several_titles_may_be_named_by_any():
    merged = {"a": ["Handwritten Nine over a Cat", "Four over a Cat"]}
    right = {
        w: rightly_named({"a": f"a {w} on a cat"}, merged)["digit_named"].item()
        for w in ("nine", "four", "six")
    }
    assert right == {"nine": 1, "four": 1, "six": 0}


def test_recipes_name_neither():
    assert are_named(TITLES)
    assert not are_named(TITLES | {"e": ["Miso-Butter Roast Chicken"]})
    with pytest.raises(DifflabError, match="the titles of e name no class"):
        rightly_named({"e": "chicken"}, {"e": ["Miso-Butter Roast Chicken"]})


def test_an_image_without_caption_is_refused():
    with pytest.raises(DifflabError, match="c has no caption"):
        rightly_named({k: v for k, v in CAPTIONS.items() if k != "c"}, TITLES)
