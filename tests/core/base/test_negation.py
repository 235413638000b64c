"""What a caption denies is no fact; what it affirms beside that is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.negation import affirms, undenied


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
        # other cues
        ("He rarely wears a hat.", "hat"),
        ("He ain't wearing a hat.", "hat"),
        ("She doesnt wear a hat.", "hat"),
        ("A man w/o a hat.", "hat"),
        ("A man with everything but a hat.", "hat"),
        ("He almost smiles.", "smiles"),
        ("He stopped smiling.", "smiling"),
        ("He shaved off his beard.", "beard"),
        ("Nowhere is a hat.", "hat"),
        ("The man does n't wear a hat.", "hat"),
        ("The hat is n't visible.", "hat"),
        ("He hardly ever wears a hat.", "hat"),
        ("He doesn't have on a hat.", "hat"),
        ("He has no accessories, such as a hat.", "hat"),
        ("It is not true that he wears a hat.", "hat"),
        ("It is unclear whether he wears a hat.", "hat"),
        ("He is far from smiling.", "smiling"),
        ("He is nowhere near smiling.", "smiling"),
        ("He is not yet bald.", "bald"),
        ("A not very big hat.", "big hat"),
        ("A photo of her, not wearing a hat.", "hat"),
        # a person is denied
        ("No man wears a hat.", "hat"),
        ("Nobody in the picture wears a hat.", "hat"),
        ("Neither of the men is wearing a hat.", "hat"),
        # said afterwards
        ("Hat: none.", "hat"),
        ("hat - no", "hat"),
        ("The smile is gone from his face.", "smile"),
        ("A smile is nowhere to be seen.", "smile"),
        ("The smile on her face has faded.", "smile"),
        ("A hat is not being worn.", "hat"),
        ("The hat isn't there.", "hat"),
        ("He took his hat off.", "hat"),
        ("A hat cannot be seen.", "hat"),
        # within a word
        ("A non-smiling man.", "smiling"),
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
        ("A man without a beard\nA hat", "hat"),
        ("No-bake cookies and a hat.", "hat"),
        ("The not-so-young man in a hat.", "hat"),
        ("If not for the hat, he would be young.", "hat"),
        ("The hat is not red.", "hat"),
        ("His smile is not broad.", "smile"),
        ("Nobody smiles, but she wears a hat.", "hat"),
        ("A man with no beard wears a hat.", "hat"),
        ("He cannot hide his smile.", "smile"),
        ("No fewer than two men in a hat.", "hat"),
        ("None other than a man in a hat.", "hat"),
        ("He wears no ordinary hat.", "hat"),
        ("You can't miss the hat.", "hat"),
        ("It is hard not to notice the hat.", "hat"),
        ("A not so subtle smile.", "smile"),
        ("A barely visible smile.", "smile"),
        ("A tree far from the hat.", "hat"),
        # twice denied
        ("He is never without a hat.", "hat"),
        ("Not a day goes by without a hat.", "hat"),
        ("No man here lacks a hat.", "hat"),
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


def test_of_a_match_over_the_border_of_a_denial_both_ends_count():
    pattern = r"hair is(?:n't)? (?:\w+ but )?brown"
    assert affirms(pattern, "His hair isn't black but brown.")
    assert not affirms(pattern, "His hair isn't brown.")


@given(st.lists(st.sampled_from(["No hat", "a Three", "Not red", "but", ",", "\n", "İ", "’", "with"])).map(" ".join))
def test_what_is_denied_is_blanked_and_nothing_else(text):
    left = undenied(text)
    assert left.split() == [word for word in left.split() if word in text.replace("’", "'")]
    assert "hat" not in left
    assert "red" not in left


@pytest.mark.parametrize("space", ["  ", "\t", "\u00a0", "\u2003"])
def test_spaces_and_accents_read_alike(space):
    assert affirms("café hat", f"A cafe\u0301{space}hat.")
