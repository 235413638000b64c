"""What is no part of an answer: marks of reasoning and turns, HTML, what cannot be seen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.models.language.plain_text import is_mark, plain, untagged


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


MARKS = ("<|im_end|>", "<|eom_id|>", "<｜end▁of▁sentence｜>", "<end_of_turn>", "</s>", "<pad>", "<turn|>", "[/INST]")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(MARKS), min_size=1, max_size=4), st.text(max_size=20))
def test_nothing_comes_after_the_mark_that_ends_a_turn(marks, more):
    assert plain(f"A man.{''.join(marks)}{more}") == "A man."


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("<p>A &amp; B</p>", "\nA & B\n"),
        ("1 < 2 &copy 3 > 2 & R&B;", "1 < 2 &copy 3 > 2 & R&B;"),
        ("a<br/>b", "a\nb"),
        ("<think>no tag of a page</think>", "<think>no tag of a page</think>"),
        ("\x1b]0;title\x07a\x00\u3164", "a"),
    ],
)
def test_html_reads_as_a_page_shows_it(answer, shown):
    assert untagged(answer) == shown
