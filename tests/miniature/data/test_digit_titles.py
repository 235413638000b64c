"""Titles say what a picture shows: its digit, its photograph, and nothing that could be another's."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.vocabulary import PHOTO_WORDS, named

PAIRS = [(digit, photo) for digit in range(10) for photo in PHOTO_NAMES]


def test_the_plain_title_comes_first():
    assert titles(3, "Coffee")[0] == "Handwritten Three over Coffee"
    assert titles(8, "Astronaut")[0] == "Handwritten Eight over an Astronaut"


def test_articles_fit_their_nouns_and_titles_begin_with_a_capital():
    of_cat = titles(8, "Cat")
    assert "An Eight on a Cat" in of_cat
    assert "A Cat under an Eight" in of_cat
    assert "The Digit Eight over a Cat" in of_cat
    assert "Coins with a Two on Top" in titles(2, "Coins")


@pytest.mark.parametrize(("digit", "photo"), PAIRS)
def test_every_title_names_its_digit_and_its_photograph_in_two_to_eight_words(digit, photo):
    for title in titles(digit, photo):
        assert named(title) == (digit, PHOTO_NAMES.index(photo))
        assert NUMBER_WORDS[digit] in title.lower().split()  # as the miniature's captions call them
        assert PHOTO_WORDS[photo] in title.lower()
        assert 2 <= len(title.split()) <= 8
        assert title == " ".join(title.split())


def test_all_titles_differ_by_more_than_case_and_each_pair_has_twelve_or_more():
    every = [title.lower() for pair in PAIRS for title in titles(*pair)]
    assert len(set(every)) == len(every)
    assert all(len(titles(*pair)) >= 12 for pair in PAIRS)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("a 7 ON some coins", (7, "Coins")),
        ("Rockets beneath a Four", (4, "Rocket")),
        ("Brick wall, one", (1, "Bricks")),
        ("a galaxy-five!", (5, "Galaxies")),
        ("Three, three and 3 over Tissue", (3, "Tissue")),
        ("Handwritten Three", (3, None)),
        ("Strawberry Cake", (-1, None)),
        ("Someone with Coffee", (-1, "Coffee")),
        ("Three or Four on a Temple", (-1, "Temple")),
        ("A Cat and a Flower behind a Six", (6, None)),
        ("37 Coins", (-1, "Coins")),
        ("", (-1, None)),
    ],
)
def test_a_title_names_what_its_words_say_and_nothing_where_they_contradict(title, expected):
    digit, photo = named(title)
    assert (digit, photo) == (expected[0], PHOTO_NAMES.index(expected[1]) if expected[1] else -1)


@pytest.mark.parametrize(("digit", "photo"), [(10, "Coffee"), (-1, "Coffee"), (3, "coffee"), (3, "")])
def test_an_unknown_digit_or_photograph_has_no_title(digit, photo):
    with pytest.raises(DifflabError, match="no title for"):
        titles(digit, photo)
