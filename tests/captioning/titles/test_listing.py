"""The entries of a list are found in any layout, and nothing else is taken for one."""

import pytest

from difflab.captioning.titles.listing import listed, unwrapped


@pytest.mark.parametrize(
    ("answer", "entries"),
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
        ("[", []),
        ("", []),
    ],
)
def test_entries_of_worked_examples(answer, entries):
    assert listed(answer) == entries


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
