"""Which captions name the digit and the photograph of their picture."""

import pytest

from difflab.captioning.judging import MEASURES, are_judged, correct_captions, faithful
from difflab.miniature.data.digit_titles import titles

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
    frame = correct_captions(CAPTIONS, TITLES)
    assert frame["id"].tolist() == ["a", "b", "c", "d"]
    assert frame[list(MEASURES)].to_numpy().tolist() == [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert (frame.dtypes[list(MEASURES)] == "float64").all()


@pytest.mark.parametrize("digit", range(10))
def test_every_title_of_a_picture_names_it(digit):
    texts = titles(digit, "Rocket")
    found = correct_captions(dict(enumerate(texts)), {i: [texts[0]] for i in range(len(texts))})
    assert found["both_correct"].mean() == 1


def test_an_empty_caption_is_wrong():
    assert correct_captions({"a": ""}, {"a": TITLES["a"]})["both_correct"].tolist() == [0]


def test_an_image_of_several_titles_may_be_named_by_any():
    merged = {"a": ["Handwritten Nine over a Cat", "Four over a Cat"]}
    right = {
        w: correct_captions({"a": f"a {w} on a cat"}, merged)["digit_correct"].item() for w in ("nine", "four", "six")
    }
    assert right == {"nine": 1, "four": 1, "six": 0}


def test_recipes_that_name_numbers_and_photographs_are_not_judged():
    assert not are_judged({"a": ["Three-Bean Chili"], "b": ["One-Cup Coffee Cake"], "c": ["Seven Coffee Cakes"]})


def test_recipes_name_neither():
    assert are_judged(TITLES)
    assert not are_judged(TITLES | {"e": ["Miso-Butter Roast Chicken"]})


@pytest.mark.parametrize(
    ("source", "variation", "kept"),
    [
        ("Handwritten Three over Coffee", "coffee with a 3", True),
        ("Handwritten Three over Coffee", "Four on Coffee", False),
        ("Handwritten Three over Coffee", "Three on Coins", False),
        ("Handwritten Three over Coffee", "Three", False),
        ("Iced Coffee", "Coffee on Ice", True),  # names no digit, so none is wanted
        ("Almond Horchata", "Creamy Horchata Blend", True),
        ("Almond Horchata", "Cinnamon Rice Milk", False),
        ("Coffee Cake", "Crumb Cake with Coffee", True),
        ("Coffee Cake", "Coffee Break", False),
        ("One-Pot Chicken and Rice", "Chicken and Rice in a Single Pot", True),
        ("5-Minute Hummus", "Quick Hummus", True),
        ("Seven-Layer Dip", "Seven Dwarfs", False),
        ("Three-Bean Chili", "Three Little Pigs", False),
        ("Rocket Salad with Pear", "Arugula Salad with Pear", True),
        ("Seven Coffee Cakes", "Coffee Cake for Seven", True),
        ("番茄炒蛋", "番茄和鸡蛋", True),
        ("Soup with Rice", "Stew with Beans", False),  # "with" is no ingredient
    ],
)
def test_a_variation_is_faithful_when_it_keeps_what_its_source_names(source, variation, kept):
    assert faithful(source, variation) is kept


def test_every_title_of_a_picture_is_faithful_to_every_other():
    for digit, photo in [(0, "Astronaut"), (3, "Coffee"), (8, "Cat")]:
        forms = titles(digit, photo)
        assert all(faithful(a, b) for a in forms for b in forms)
    assert not faithful(titles(3, "Coffee")[0], titles(4, "Coffee")[0])
