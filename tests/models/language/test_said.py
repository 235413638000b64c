"""Answers of chat models to somebody who asked for one caption."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.models.language.answers import sentence
from difflab.models.language.plain_text import is_mark

from .said import ANSWERS, MAN


@pytest.mark.parametrize("name", ANSWERS)
def test_the_caption_is_found_in_whatever_stands_around_it(name):
    answer, said = ANSWERS[name]
    assert sentence(answer) == said


@pytest.mark.parametrize("name", ANSWERS)
def test_what_was_read_reads_the_same_again(name):
    said = sentence(ANSWERS[name][0])
    assert sentence(said) == said


def test_the_corpus_is_large():
    assert len(ANSWERS) >= 80
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


@pytest.mark.parametrize(
    ("token", "kept"),
    [
        ("<|channel|>", True),
        ("[THINK]", True),
        ("[/THINK]", True),
        ("<think>", True),
        ("</think>", True),
        ("<|begin_of_text|>", False),
        ("<pad>", False),
        ("<image>", False),
    ],
)
def test_marks_of_reasoning_are_kept_for_the_reader(token, kept):
    assert is_mark(token) is kept
