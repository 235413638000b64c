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
        ("7-Up at Studio 54 on Route 6", set()),
        ("One-Pot Chicken for twenty-one", set()),
        ("Five Guys and Apollo Eight", set()),
        ("3.5 cups, 1/2 spoon, B2", set()),
        ("the Number Three, the Digit 4", {3, 4}),
        ("Coffee with a Nine", {9}),
        ("twenty three, five hundred and six, a three thousand", set()),
        ("10,000 and 1 000", set()),
        ("a dozen, two dozen, three million", set()),
        ("no one, any one", set()),
        ("3%, 3°, $3", set()),
        ("three\u2011bean", set()),
        ("3 %, 3 °C, € 3, 3 kg, 3 ml", set()),
        ("-3, −3 and +3", set()),
        ("3–4, ３．５, ٣٫٥", set()),
        ("3, 4 - 5", {3, 4, 5}),
        ("the ３, the ٤ and the ५", {3, 4, 5}),
    ],
)
def test_numbers_are_whole_words(text, numbers):
    assert numbers_in(text) == numbers
