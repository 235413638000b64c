"""Numbers in texts."""

import pytest

from difflab.core.base.numerals import NUMBER_WORDS, numbers_in


@pytest.mark.parametrize("number", range(10))
def test_each_number_is_found_as_a_word_and_as_a_figure(number):
    assert numbers_in(f"The {NUMBER_WORDS[number].upper()}.") == numbers_in(f"no {number}!") == {number}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("a handwritten three over a photo of coffee", {3}),
        ("a handwritten three or an eight", {3, 8}),
        ("someone is often alone", set()),
        ("a road sign with 70", set()),
        ("", set()),
    ],
)
def test_numbers_are_whole_words(text, numbers):
    assert numbers_in(text) == numbers
