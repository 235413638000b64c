"""The words that scores compare, in any script, and how many of them differ."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.metrics.caption_scores import MEASURES, CaptionScorer
from difflab.metrics.words import distinct_n, words


def test_words_are_lower_case_runs_of_letters_and_digits():
    assert words("7-Grain Bread, with “Nuts” & 1½ cups!") == ["7", "grain", "bread", "with", "nuts", "1½", "cups"]
    assert words("Grandma’s rock 'n' roll") == ["grandma's", "rock", "n", "roll"]
    assert words("CRE\u0300ME") == words("crème") == ["crème"]
    assert words("寿司 — sushi_roll") == ["寿", "司", "sushi", "roll"]
    assert words(" ...! ") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs are part of their word
        ("العَرَبِيَّة", ["العَرَبِيَّة"]),
        ("모자를 쓴 남자.", ["모자를", "쓴", "남자"]),
        ("コーヒー3杯", ["コ", "ー", "ヒ", "ー", "3", "杯"]),
        ("ดี", ["ด", "ี"]),
        ("བོད་ཡིག།", ["བ", "ོ", "ད", "ཡ", "ི", "ག"]),  # without its points
        ("ខ។ မ။", ["ខ", "မ"]),
        ("Ｈａｔ ３ ｶﾞ don＇t", ["hat", "3", "ガ", "don't"]),  # of any width
        ("a\u00adb ක\u0dca\u200dෂ c\u200bd", ["ab", "ක\u0dcaෂ", "c", "d"]),  # invisible: one word, but for a space
    ],
)
def test_words_of_other_scripts(text, expected):
    assert words(text) == expected


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1))
def test_chinese_is_cut_as_by_sacrebleu(text):
    from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

    assert words(text) == TokenizerZh()(text).split()


@given(st.text(st.characters(codec="ascii")))
def test_latin_words_are_runs_of_letters_and_figures(text):
    assert all(word.replace("'", "").isalnum() for word in words(text))
    assert sum(map(len, words(text))) <= len(text)


@given(st.text(st.characters(exclude_categories=["Cn", "Cs"])))
def test_every_word_has_a_letter_or_a_figure_or_a_sign_of_one(text):
    assert all(any(unicodedata.category(c)[0] in "LNM" for c in word) for word in words(text))


@given(st.text(min_size=1))
def test_words_are_the_same_of_words(text):
    assert words(" ".join(words(text))) == words(text)


@pytest.mark.parametrize(
    ("caption", "reference"),
    [
        ("戴帽子的男人", "戴帽子的女人"),
        ("帽子をかぶった男性", "帽子をかぶった女性"),
        ("ผู้ชายสวมหมวก", "ผู้หญิงสวมหมวก"),
        ("टोपी पहने आदमी", "टोपी पहने औरत"),
        ("모자를 쓴 남자", "모자를 쓴 여자"),
        ("мужчина в шляпе", "женщина в шляпе"),
    ],
)
def test_a_caption_that_is_nearly_right_scores_in_any_script(caption, reference):
    scorer = CaptionScorer({"a": [reference], "b": ["x y z"]})
    scores = scorer.score({"a": caption, "b": "x y z"}).per_image
    for measure in MEASURES:
        assert 0 < scores[measure][0] < (10 if measure == "cider_d" else 1), measure


def test_distinct_n_grams_of_a_worked_example():
    assert distinct_n(["a cat", "A cat sits"], 1) == pytest.approx(3 / 5)
    assert distinct_n(["a cat", "A cat sits"], 2) == pytest.approx(2 / 3)
    assert distinct_n(["cat"], 2) == 0
