"""Texts of people's files: captions are clean lines, and bytes that are no text are refused."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.images.sets.formats.rows import clean, decoded_text


@given(st.text(st.characters(exclude_categories=())))
def test_a_caption_is_one_clean_line_that_any_file_can_hold(text):
    found = clean(text)
    assert found == " ".join(found.split()) == clean(found)
    assert not {unicodedata.category(c) for c in found} & {"Cc", "Cs"}
    assert found.encode().decode() == found


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_nothing_else_is_taken_from_it(text):
    assert clean(f"a{text}") == " ".join(f"a{text}".split())


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\ufeff \u2060", "\0"])
def test_what_cannot_be_seen_is_no_caption(text):
    assert clean(text) == ""


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff")))
def test_a_text_is_what_was_written(text):
    for form in ("utf-8", "utf-8-sig", "utf-16"):
        assert decoded_text(text.encode(form), "a.txt") == text


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1"])
def test_other_encodings_are_refused_by_line(form):
    with pytest.raises(DifflabError, match=r"^a\.txt, line [12]: .*not UTF-8 text; save it as such$"):
        decoded_text("one\nCaf\u00e9".encode(form), "a.txt")
