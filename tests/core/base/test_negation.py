"""What a caption denies is no fact; what it affirms beside that is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.negation import affirms


@pytest.mark.parametrize(
    ("caption", "word"),
    [
        ("A man with no hat.", "hat"),
        ("A man without a hat.", "hat"),
        ("She is not wearing a hat.", "hat"),
        ("She isn’t wearing a hat.", "hat"),
        ("He never wears a hat.", "hat"),
        ("He is not seen wearing a hat.", "hat"),
        ("No one wears a hat.", "hat"),
        ("He has no beard. Nor does he wear a hat.", "hat"),
        ("Neither smiling nor wearing a hat.", "hat"),
        ("A man without glasses or a hat.", "hat"),
        ("A man without glasses and a hat.", "hat"),
        ("No beard, glasses, or hat.", "hat"),
        ("He took off his hat.", "hat"),
        ("The hat is missing.", "hat"),
        ("A hat-free head.", "hat"),
        ("A hatless man.", "hat"),
        ("He lacks a hat.", "hat"),
        ("There is no sign of a hat.", "hat"),
    ],
)
def test_denied(caption, word):
    assert not affirms(rf"\b{word}\b", caption)


@pytest.mark.parametrize(
    ("caption", "word"),
    [
        ("A man with no beard, a hat.", "hat"),
        ("A man with no beard. A hat.", "hat"),
        ("A man with no beard but a hat.", "hat"),
        ("A man with no beard and a hat.", "hat"),
        ("A man without a beard wearing a hat.", "hat"),
        ("A man without glasses and with a hat.", "hat"),
        ("The man who is not smiling wears a hat.", "hat"),
        ("No beard under her hat.", "hat"),
        ("Not only a beard, but a hat.", "hat"),
        ("There is no doubt a hat.", "hat"),
        ("A hat, no beard.", "hat"),
        ("No hat at first. Then a hat.", "hat"),  # once is enough
    ],
)
def test_affirmed(caption, word):
    assert affirms(rf"\b{word}\b", caption)


THINGS = st.lists(st.sampled_from(["hat", "beard", "smile", "necklace", "tie"]), min_size=2, max_size=5, unique=True)


@given(THINGS, st.sampled_from(["no", "without a", "not a", "never a"]))
def test_a_negation_ends_with_its_sentence(things, cue):
    denied, *others = things
    caption = f"{', '.join(others)}. {cue} {denied}. {', '.join(others)}"
    assert not affirms(denied, caption)
    assert all(affirms(other, caption) for other in others)


@given(THINGS)
def test_a_list_that_or_closes_is_denied_whole(things):
    caption = f"A man with no {', '.join(things[:-1])}, or {things[-1]}."
    assert not any(affirms(thing, caption) for thing in things)


@given(st.text())
def test_a_text_without_a_cue_denies_nothing(text):
    letters = "".join(c for c in text if c in "hat ")
    assert affirms("x", f"{letters} x")
