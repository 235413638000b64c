"""Answers of chat models to somebody who asked for one caption."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.models.language.answers import sentence

from .said import ANSWERS, MAN

INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff\u00ad\u202a\u202c\u2068\u2069\u0007"


@pytest.mark.parametrize("name", ANSWERS)
def test_the_caption_is_found_in_whatever_stands_around_it(name):
    answer, said = ANSWERS[name]
    assert sentence(answer) == said


@pytest.mark.parametrize("name", ANSWERS)
def test_what_was_read_reads_the_same_again(name):
    said = sentence(ANSWERS[name][0])
    assert sentence(said) == said


def test_the_corpus_is_large():
    assert len(ANSWERS) >= 180
    assert sum(not said for _, said in ANSWERS.values()) >= 15


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<|channel|>analysis<|message|>", None)]),
    st.text(st.characters(exclude_characters="<>[]|◁▷"), min_size=1),
)
def test_no_word_of_reasoning_comes_through(marks, thought):
    begin, end = marks
    assert sentence(begin + thought) == ""
    if end:
        assert sentence(f"{begin}{thought}{end}\n{MAN}") == MAN


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(MAN)), st.sampled_from(INVISIBLE)), max_size=8))
def test_what_cannot_be_seen_changes_nothing(inserted):
    text = MAN
    for place, character in inserted:
        text = text[:place] + character + text[place:]
    assert sentence(text) == MAN


@settings(max_examples=50, deadline=None)
@given(st.sampled_from("[(<*_ \n\"'#~\\{-."), st.integers(1, 20_000))
def test_a_long_run_of_one_mark_is_read_at_once(mark, count):
    assert len(sentence(f"{mark * count}a")) < 200
