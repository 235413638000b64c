"""Entries are found in any layout and nothing else is taken for one; a sentence is the first thing that is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.models.language.answers import entries, sentence, unwrapped


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('["Soup", "Stew"]\n1. Cake\n2. Pie', ["Soup", "Stew"]),  # JSON before numbers
        ("1. Soup\n2. Stew\n- Cake\n- Pie", ["Soup", "Stew"]),  # numbers before bullets
        ("My favourites\n- Soup\n- Stew", ["Soup", "Stew"]),  # bullets before bare lines
        ("Soup\nStew\nEnjoy both of them!", ["Soup", "Stew"]),  # no sentences
        ("1. Soup\n\nThat is all.", ["Soup"]),
        ("1. Soup\nwith Rice\n2. Stew", ["Soup with Rice", "Stew"]),  # wrapped
        ("1. Soup\nIt is warm.\n2. Stew", ["Soup", "Stew"]),  # a remark
        ("1. Soup\n   - Warm\n   (or cold)\n2. Stew", ["Soup", "Stew"]),
        ("1. Soup\n\nwith Rice\n2. Stew", ["Soup", "Stew"]),
        ("1. Warm:\nSoup\n2. Cold:\nSalad", ["Soup", "Salad"]),
        ("1. Warm:\n2. Cold:", []),
        ("- Soup\n  - Rice\n  - Beans\n- Stew", ["Soup", "Stew"]),
        ("  * Soup\n  * Stew", ["Soup", "Stew"]),
        ("We have 3 soups and 4 stews", ["We have 3 soups and 4 stews"]),
        ("Serves 2. Three more", ["Serves 2. Three more"]),  # a number in a line is no list
        ('{"a": ["Soup"], "b": ["Stew"], "c": 3}', []),
        ('{"title": "Soup"}\n{"title": "Stew"}', []),
        ("1. Soup [3]\n2. Stew [4]", ["Soup [3]", "Stew [4]"]),
        ('{"titles": ["Soup", "Stew"', ["Soup", "Stew"]),  # cut off: keys are no entries
        ('[{"id": 1, "name": "Soup"}, {"id": 2, "name": "Stew"}]', ["Soup", "Stew"]),
        ('{"variations": {"1": "Soup", "2": "Stew"}}', ["Soup", "Stew"]),
        (r"""['Mum\'s Soup', "Dad's Stew"]""", ["Mum's Soup", "Dad's Stew"]),
        ("Variante 1: Tarte\nVariante 2: Torte", ["Tarte", "Torte"]),
        ("Вариант 1: Суп\nВариант 2: Рагу", ["Суп", "Рагу"]),
        ("Opción 1: Sopa\nOpción 2: Guiso", ["Sopa", "Guiso"]),
        ("案1：スープ\n案2：シチュー", ["スープ", "シチュー"]),
        ("第一：汤\n第二：粥", ["汤", "粥"]),
        ("[", []),
        ("", []),
    ],
)
def test_entries_of_worked_examples(answer, expected):
    assert entries(answer) == expected


def test_a_caption_holds_no_control_character_and_no_half_of_one_that_json_spells():
    assert sentence(r'{"caption": "Soup \ud83d in a \u0000bow\u0007l."}') == "Soup in a bowl."


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (' **"Soup."** ', "Soup"),
        ("Title: Soup;", "Soup"),
        ("“Soup” – a warm one", "Soup"),
        ("*Soup* (warm)", "Soup"),
        ("**Warm:** Soup", "**Warm:** Soup"),  # the title, or the name of its style?
        ('"Warm" Soup', '"Warm" Soup'),
        ("Soup and", "Soup"),
        ("Mum's 'Best' Soup", "Mum's 'Best' Soup"),
        ("So\tup\u00a0of  Rice", "So up of Rice"),
        ("", ""),
    ],
)
def test_wrappings_are_taken_off_one_after_another(entry, text):
    assert unwrapped(entry) == text
    assert unwrapped(text) == text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("A man smiles.", "A man smiles."),
        ("  A man \t smiles. \n", "A man smiles."),
        (" A cat and coffee\nIt is a nice picture.", "A cat and coffee"),  # whatever follows
        ("\n \n  Two   words \n", "Two words"),
        # lead-ins
        ("Here is the caption:\n\nA man smiles.", "A man smiles."),
        ("Here’s a detailed caption: A man smiles.", "A man smiles."),
        ("Sure! Here is the caption:\n**Caption:** A man smiles.", "A man smiles."),
        ("Of course, here you go!\nA man smiles.", "A man smiles."),
        ("Certainly. A man smiles.", "A man smiles."),
        ("Certainly a man smiles.", "Certainly a man smiles."),
        ("Here a man smiles.", "Here a man smiles."),
        # notes and reasoning
        ("Note: the facts win.\nA man smiles.", "A man smiles."),
        ("A man smiles.\n\nNote: I kept all facts.", "A man smiles."),
        ("<think>\nHe is old.\n</think>\n\nA man smiles.", "A man smiles."),
        ("He is old.\n</think>A man smiles.", "A man smiles."),
        ("<think>He is old, so", ""),
        # marks
        ('"A man smiles."', "A man smiles."),
        ("\u201cA man smiles.\u201d", "A man smiles."),
        ("'A man smiles.'\n", "A man smiles."),
        ("- A man smiles.", "A man smiles."),
        ("\u2022A man smiles.", "A man smiles."),
        ("1. A man smiles.\n2. A man laughs.", "A man smiles."),
        ("**A man smiles.**", "A man smiles."),
        ("`A man smiles.`", "A man smiles."),
        ("```\nA man smiles.\n```", "A man smiles."),
        ("Caption: A man smiles.", "A man smiles."),
        ('{"caption": "A man smiles."}', "A man smiles."),
        ('["A man smiles."]', "A man smiles."),
        ("\U0001f4f7 A man smiles.", "A man smiles."),
        # what belongs to the sentence
        ("A man's hat.", "A man's hat."),
        ("Grandma's", "Grandma's"),
        ('The "Three"', 'The "Three"'),
        ('"Three" and "Four"', '"Three" and "Four"'),
        ('"Stop" - says the sign.', '"Stop" - says the sign.'),
        ("3 men smile.", "3 men smile."),
        ("A. Smith smiles.", "A. Smith smiles."),
        ("A sign {red} smiles.", "A sign {red} smiles."),
        # nothing is said
        ('"', ""),
        ('""', ""),
        ("\n \n", ""),
        ("Sure! Here is the caption:", ""),
        ("", ""),
    ],
)
def test_a_sentence_is_the_first_thing_that_is_said(answer, said):
    assert sentence(answer) == said


def test_reasoning_is_no_entry():
    assert entries("<think>1. Cake\n2. Pie</think>\n1. Soup\n2. Stew") == ["Soup", "Stew"]
    assert entries("Soup\nStew\nNote: both are warm") == ["Soup", "Stew"]


_PIECES = ["1. ", "- ", "**", '"', "“", "{", "[", "<think>", "</think>", "\n", "Sure! ", ": ", "A man", "."]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(_PIECES)).map("".join)))
def test_a_sentence_of_anything_is_one_clean_line(answer):
    said = sentence(answer)
    assert said == " ".join(said.split())
    assert "think>" not in said
    assert not said or any(c.isalnum() for c in said)


def does_not_repeat(text: str) -> bool:
    words = text.lower().strip(".").split()
    return len(set(words)) == len(words)


@settings(max_examples=100, deadline=None)
@given(
    st.from_regex(r"[A-Z][a-z]{1,8}( [a-z]{1,8}){1,8}\.", fullmatch=True).filter(does_not_repeat),
    st.sampled_from(
        ["{}", "1. {}", "- {}", '"{}"', "Here it is:\n{}", "{}\n\nNote: done.", "<think>Hm.</think>{}", "*{}*"]
    ),
)
def test_a_plain_sentence_comes_through_every_layout_unchanged(text, form):
    assert sentence(form.format(text)) == text
