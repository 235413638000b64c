"""Every title gets three variations or a reason: a refused answer is asked for again, and nothing raises."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.models.language.chat_model import Reply
from difflab.models.params import GenerationParams
from difflab.models.title_variations import Outcome, Reason, messages, parse, sameness, vary

SOURCE = "Handwritten Three over Coffee"
A, B, C = TITLES = ("Three on Coffee", "Coffee under a Three", "The Number Three over Coffee")
MAX_LENGTH = 60

# Answers as chat models give them, with what they mean.
CORPUS = {
    # layouts that are read
    "numbered": (f"1. {A}\n2. {B}\n3. {C}", TITLES),
    "numbered with brackets": (f"1) {A}\n2) {B}\n3) {C}\n", TITLES),
    "numbered in brackets": (f"(1) {A}\n(2) {B}\n(3) {C}", TITLES),
    "numbered in square brackets": (f"[1] {A}\n[2] {B}\n[3] {C}", TITLES),
    "numbered with dashes": (f"1 - {A}\n2 – {B}\n3 — {C}", TITLES),
    "numbered without spaces": (f"1.{A}\n2.{B}\n3.{C}", TITLES),
    "numbered one and one and one": (f"1. {A}\n1. {B}\n1. {C}", TITLES),
    "numbered in one line": (f"1. {A} 2. {B} 3. {C}", TITLES),
    "numbered in one line, with an introduction": (f"Of course: 1) {A}, 2) {B}, and 3) {C}.", TITLES),
    "lettered": (f"a) {A}\nb) {B}\nc) {C}", TITLES),
    "roman": (f"i. {A}\nii. {B}\niii. {C}", TITLES),
    "keycaps": (f"1️⃣ {A}\n2️⃣ {B}\n3️⃣ {C}", TITLES),
    "bulleted with dashes": (f"- {A}\n- {B}\n- {C}", TITLES),
    "bulleted with asterisks": (f"* {A}\n* {B}\n* {C}", TITLES),
    "bulleted with dots": (f"• {A}\n• {B}\n•{C}", TITLES),
    "bulleted with emoji": (f"☕ {A}\n☕ {B}\n👨‍🍳 {C}", TITLES),
    "bare lines": (f"{A}\n{B}\n{C}", TITLES),
    "bare lines apart": (f"\n\n{A}\n\n\n{B}\r\n\r\n{C}\n", TITLES),
    "introduced bare lines": (f"Here are three variations:\n\n{A}\n{B}\n{C}\n\nI hope you like them!", TITLES),
    "introduced and explained": (
        f"Sure! Here are three:\n\n1. {A}\n2. {B}\n3. {C}\n\nLet me know if you need more.",
        TITLES,
    ),
    "straight quotes": (f'1. "{A}"\n2. "{B}"\n3. "{C}"', TITLES),
    "single quotes": (f"1. '{A}'\n2. '{B}'\n3. '{C}'", TITLES),
    "curly quotes": (f"“{A}”\n“{B}”\n“{C}”", TITLES),
    "quotes of four languages": (f"- „{A}“\n- «{B}»\n- 「{C}」", TITLES),
    "quotes in one line": (f'You could say "{A}", "{B}" or "{C}".', TITLES),
    "quoted with full stops": (f'1. "{A}."\n2. "{B}".\n3. {C}.', TITLES),
    "a lost quote": (f'1. "{A}\n2. {B}"\n3. {C}', TITLES),
    "bold": (f"1. **{A}**\n2. __{B}__\n3. *{C}*", TITLES),
    "bold and italic": (f"1. ***{A}***\n2. _{B}_\n3. `{C}`", TITLES),
    "bold numbers": (f"**1.** {A}\n**2.** {B}\n**3.** {C}", TITLES),
    "bold lines": (f"**1. {A}**\n**2. {B}**\n**3. {C}**", TITLES),
    "bold quotes": (f'1. **"{A}"**\n2. "**{B}**"\n3. **“{C}”**', TITLES),
    "remarks behind bold": (f"1. **{A}** - simple\n2. **{B}** (bold)\n3. **{C}** – the rest", TITLES),
    "remarks behind quotes": (f'1. "{A}" (simple)\n2. "{B}" - bold\n3. "{C}": the rest', TITLES),
    "remarks below": (f"1. {A}\n   - It is simple.\n2. {B}\n   - It is bold.\n3. {C}\n   - New.", TITLES),
    "bullets with remarks below": (f"- {A}\n  - Simple one\n- {B}\n  - Bold one\n- {C}", TITLES),
    "labels": (f"Variation 1: {A}\nVariation 2: {B}\nVariation 3: {C}", TITLES),
    "labels in bold": (f"**Variation 1:** {A}\n**Variation 2:** {B}\n**Variation 3:** {C}", TITLES),
    "labels as headings": (f"### Variation 1\n{A}\n\n### Variation 2\n{B}\n\n### Variation 3\n{C}", TITLES),
    "labels with a style": (
        f"**Option 1 (short):**\n{A}\n\n**Option 2 (plain):**\n{B}\n\n**Option 3 (long):**\n* {C}",
        TITLES,
    ),
    "labels in words": (f"Title one: {A}\nTitle two: {B}\nTitle three: {C}", TITLES),
    "the same label": (f"Title: {A}\nTitle: {B}\nTitle: {C}", TITLES),
    "labels behind numbers": (f"1. Title: {A}\n2. **Title:** {B}\n3. title: {C}", TITLES),
    "headings with colons": (f"1. Short:\n{A}\n2. **Plain:**\n{B}\n3. Long:\n\n{C}", TITLES),
    "titles over several lines": ("1. Three on\n   Coffee\n2. Coffee under\na Three\n3. " + C, TITLES),
    "separated by semicolons": (f"{A}; {B}; {C}", TITLES),
    "a table row": (f"| {A} | {B} | {C} |", TITLES),
    "quoted lines of mail": (f"> 1. {A}\n> 2. {B}\n> 3. {C}", TITLES),
    "a JSON list": (json.dumps(TITLES), TITLES),
    "a fenced JSON list": (f"Here:\n```json\n{json.dumps(TITLES, indent=2)}\n```\nEnjoy!", TITLES),
    "a JSON object": (json.dumps({"title": SOURCE, "variations": TITLES}), TITLES),
    "a JSON object of numbers": (json.dumps(dict(zip("123", TITLES, strict=True))), TITLES),
    "a JSON list of objects": (json.dumps([{"id": i, "title": t} for i, t in enumerate(TITLES)]), TITLES),
    "a JSON list with a comma too many": (f'["{A}", "{B}", "{C}",]', TITLES),
    "a Python list": (f"variations = ['{A}', '{B}', '{C}']", TITLES),
    "a fence": (f"Sure thing!\n```\n{A}\n{B}\n{C}\n```", TITLES),
    "a fence without end": (f"```text\n1. {A}\n2. {B}\n3. {C}", TITLES),
    "spaces of all kinds": (f"1.\t{A}  \n2.\u00a0Coffee\u2003under a\tThree\n3. {C}\u200b", TITLES),
    "emoji inside": (f"1. Three on ☕️ Coffee 🎉\n2. {B}\n3. 👩🏽‍🍳 {C}", TITLES),
    "a byte order mark": (f"\ufeff1. {A}\n2. {B}\n3. {C}", TITLES),
    "line separators": (f"1. {A}\u20282. {B}\x853. {C}", TITLES),
    "Chinese": (
        "1、咖啡上的手写三\n2、咖啡与数字三\n3、写着三的咖啡",
        ("咖啡上的手写三", "咖啡与数字三", "写着三的咖啡"),
    ),
    "Japanese in brackets": (
        "「コーヒーの三」\n「三のコーヒー」\n「手書きの三」",
        ("コーヒーの三", "三のコーヒー", "手書きの三"),
    ),
    "Arabic": ("- ثلاثة على القهوة\n- قهوة وثلاثة\n- رقم ثلاثة", ("ثلاثة على القهوة", "قهوة وثلاثة", "رقم ثلاثة")),
    "accents apart are put together": (
        "1. Cre\u0300me Three\n2. Café Three\n3. Jalapeño Three",
        ("Crème Three", "Café Three", "Jalapeño Three"),
    ),
    "numbers and quotes that belong to the titles": (
        "1. 7-Up \"Three\" Float\n2. 3 Cooks' Coffee\n3. Dad's (Best) Three & Coffee",
        ('7-Up "Three" Float', "3 Cooks' Coffee", "Dad's (Best) Three & Coffee"),
    ),
    "an apostrophe in single quotes": (
        "['Dad's Three', 'Three o'Clock Coffee', 'Coffee']",
        ("Dad's Three", "Three o'Clock Coffee", "Coffee"),
    ),
    "quotes in quotes": (
        '1. "The "Three" Coffee"\n2. ""Coffee" and Three"\n3. "Coffee" with "Three"',
        ('The "Three" Coffee', '"Coffee" and Three', '"Coffee" with "Three"'),
    ),
    "counted without marks": (f"1 {A}\n2 {B}\n3 {C}", TITLES),
    "counted in words": (f"One. {A}\nTwo. {B}\nThree. {C}", TITLES),
    "first, second, third": (f"First: {A}\nSecond: {B}\nThird: {C}", TITLES),
    "No. 1": (f"No. 1: {A}\nNo. 2: {B}\nNo. 3: {C}", TITLES),
    "full-width brackets": ("（1）咖啡上的三\n（2）咖啡与三\n（3）三的咖啡", ("咖啡上的三", "咖啡与三", "三的咖啡")),
    "Hebrew letters": ("א. קפה שלוש\nב. שלוש וקפה\nג. ספרה וקפה", ("קפה שלוש", "שלוש וקפה", "ספרה וקפה")),
    "headings of their own": (f"# {A}\n# {B}\n# {C}", TITLES),
    "boxes to tick": (f"- [ ] {A}\n- [ ] {B}\n- [x] {C}", TITLES),
    "counts of words": (f"1. {A} (3 words)\n2. {B} (4 words)\n3. {C} (5 words)", TITLES),
    "separated by slashes": (f"{A} / {B} / {C}", TITLES),
    "an end of DeepSeek's": (f"1. {A}\n2. {B}\n3. {C}<｜end▁of▁sentence｜>", TITLES),
    "titles that begin with numbers": (
        "7-Layer Dip\n3 Bean Chili\n10-Minute Soup",
        ("7-Layer Dip", "3 Bean Chili", "10-Minute Soup"),
    ),
    # answers that are refused
    "nothing": ("", Reason.EMPTY),
    "space": (" \n\t\n ", Reason.EMPTY),
    "marks only": ("**--- ...!**\n- \n- ", Reason.EMPTY),
    "emoji only": ("1️⃣ 🎉\n2️⃣ ☕", Reason.FEW),
    "numbers only": ("1.\n2.\n3.", Reason.FEW),
    "a refusal": ("I'm sorry, but I cannot help with that.", Reason.FEW),
    "a refusal in three lines": ("I'm sorry.\nI cannot do that.\nPlease ask something else.", Reason.FEW),
    "one title": (A, Reason.FEW),
    "two titles": (f"1. {A}\n2. {B}", Reason.FEW),
    "a cut list": (f"1. {A}\n2. {B}\n3. ", Reason.FEW),
    "four titles": (f"1. {A}\n2. {B}\n3. {C}\n4. Coffee Three", Reason.MANY),
    "two lists": (f"1. {A}\n2. {B}\n3. {C}\n\nOr:\n\n1. Coffee Three\n2. Three\n3. Coffee", Reason.MANY),
    "bare lines and a remark": (f"{A}\n{B}\n{C}\nand many more", Reason.MANY),
    "all the same": (f"1. {A}\n2. {A}\n3. {A}", Reason.REPEATED),
    "the same but for case and marks": (f"1. {A}\n2. {B}\n3. three-on COFFEE!", Reason.REPEATED),
    "the source": (f"1. {A}\n2. {SOURCE}\n3. {C}", Reason.SAME),
    "the source in disguise": (f"1. {A}\n2. hand-written three, over coffee!\n3. {C}", Reason.SAME),
    "the source three times": (f"1. {SOURCE}\n2. {SOURCE}\n3. {SOURCE}", Reason.SAME),
    "a long title": (f"1. {A}\n2. {B}\n3. {'very ' * 20}long", Reason.LONG),
    "paragraphs": (f"1. {A} {'is nice and ' * 9}\n2. {B}\n3. {C}", Reason.LONG),
    "an escape sequence": (f"1. \x1b[31m{A}\x1b[0m\n2. {B}\n3. {C}", Reason.UNREADABLE),
    "a broken character": (f"1. {A}\n2. Caf\ufffd Three\n3. {C}", Reason.UNREADABLE),
    "half a character": (f"1. {A}\n2. Three \ud83d\n3. {C}", Reason.UNREADABLE),
    "half a character in JSON": (f'["{A}", "Three \\ud83d", "{C}"]', Reason.UNREADABLE),
    "HTML": (f"<ol><li>{A}</li>\n<li>{B}</li>\n<li>{C}</li></ol>", Reason.MARKS),
    "an entity": (f"1. {A}\n2. Coffee &amp; Three\n3. {C}", Reason.MARKS),
    "placeholders": ("1. [Title 1]\n2. [Title 2]\n3. [Title 3]", Reason.MARKS),
    "a bracket that is not closed": (f"1. {A} (for two\n2. {B}\n3. {C}", Reason.MARKS),
    "a mark in front": (f"1. , {A}\n2. {B}\n3. {C}", Reason.MARKS),
    "a link": (f"1. {A}\n2. https://example.org\n3. {C}", Reason.MARKS),
    "bold styles before the titles": (f"1. **Short:** {A}\n2. **Plain:** {B}\n3. **Long:** {C}", Reason.MARKS),
    "escaped line ends": (f"1. {A}\\n2. {B}\\n3. {C}", Reason.FEW),
    "a JSON list of numbers": ("[1, 2, 3]", Reason.FEW),
    "an empty JSON list": ("[]", Reason.EMPTY),
    "a JSON list of lists": (json.dumps([[t] for t in TITLES]), TITLES),
    "deep brackets": ("[" * 100_000 + "a", Reason.FEW),
    "a huge number": (f"[{'9' * 10_000}]", Reason.FEW),
}


@pytest.mark.parametrize("name", CORPUS)
def test_ugly_answers_become_three_titles_or_a_reason(name):
    answer, expected = CORPUS[name]
    assert parse(answer, SOURCE, MAX_LENGTH) == expected


def test_the_corpus_is_large_and_knows_every_reason():
    assert len(CORPUS) >= 42
    expected = {result for _, result in CORPUS.values() if isinstance(result, Reason)}
    assert expected == set(Reason) - {Reason.CUT}  # which the text does not show


def test_the_limit_itself_is_allowed():
    answer = f"1. {'a' * MAX_LENGTH}\n2. {B}\n3. {C}"
    assert parse(answer, SOURCE, MAX_LENGTH) == ("a" * MAX_LENGTH, B, C)
    assert parse(answer, SOURCE, MAX_LENGTH - 1) == Reason.LONG


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Milk Shake", "milkshake!", True),
        ("Crème Brûlée", "CRÈME BRÛLÉE", True),
        ("Straße 3", "STRASSE-3", True),
        ("Ｔhree", "three", True),
        ("Crème", "Creme", False),
        ("3 Coffees", "2 Coffees", False),
        ("की", "का", False),  # vowel signs are no punctuation
    ],
)
def test_titles_are_the_same_but_for_case_punctuation_and_spacing(one, other, same):
    assert (sameness(one) == sameness(other)) is same


_MARKS = "1. |2) |3: |(1)|- |* |• |**|__|`|```|```json\n|\n|\r\n|[|]|{|}|,|;|:|.| and |Title: |Variation 1:"
_QUOTES = "\"'“”«»「」|"
_ODD = ("\u2028", "\x00", "\x1b", "\u200d", "\u202e", "\ufeff", "\ufffd", "\ud800", "☕️", "é", "e\u0301")
FRAGMENTS = st.sampled_from([*TITLES, SOURCE, *_MARKS.split("|"), *_QUOTES, *_ODD])
NOISE = st.one_of(FRAGMENTS, st.text(max_size=8))
_LETTERS = st.text(st.characters(categories=["L", "N", "Zs"]), min_size=2, max_size=20)
_ENDS = st.lists(st.one_of(st.just(""), _LETTERS, NOISE), min_size=3, max_size=3)
_LISTS = st.tuples(st.sampled_from(["1. ", "- ", "* **", '"', ""]), st.permutations([*TITLES, SOURCE]), _ENDS)
ANSWERS = st.one_of(
    st.text(),
    st.lists(NOISE, max_size=24).map("".join),
    *[_LISTS.map(lambda it: "\n".join(it[0] + a + b for a, b in zip(it[1], it[2], strict=False)))] * 4,
)


@settings(max_examples=1000, deadline=None)
@given(ANSWERS, st.one_of(st.just(SOURCE), st.text()))
def test_whatever_is_accepted_is_three_different_clean_titles(answer, source):
    result = parse(answer, source, MAX_LENGTH)
    if isinstance(result, Reason):
        return
    plain = ["".join(c for c in t.casefold() if c.isalnum()) for t in (source, *result)]
    assert len(result) == 3
    assert len(set(result)) == 3
    assert source not in result
    assert plain[0] not in plain[1:] or not plain[0]
    for title in result:
        assert 0 < len(title) <= MAX_LENGTH
        assert title == " ".join(title.split())
        assert title.splitlines() == [title]
        assert any(c.isalpha() for c in title)
        assert not any(unicodedata.category(c) in {"Cc", "Cs", "Co", "Zl", "Zp"} for c in title)
        assert not set(title) & set("*_`#~<>{}[]|\\\ufffd\ufeff\u202e")
        assert title.encode().decode() == title == unicodedata.normalize("NFC", title)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.from_regex(r"[A-Z][a-z]{1,8}( [a-z]{1,8}){1,4}", fullmatch=True), min_size=3, max_size=3, unique_by=sameness
    ),
    st.sampled_from(
        ["{}. {}", "{}) {}", "({}) {}", "- {1}", "* **{1}**", '"{1}"', "Variation {}: {}", "**{}.** {}", "{1}"]
    ),
    st.sampled_from(["", "Here are three variations:\n\n"]),
)
def test_plain_titles_come_through_every_layout_unchanged(titles, form, introduction):
    answer = introduction + "\n".join(form.format(i, title) for i, title in enumerate(titles, 1))
    if any(title.endswith(" and") for title in titles):
        return
    assert parse(answer, "1", MAX_LENGTH) == tuple(titles)


GOOD = "\n".join(f"{number}. {title}" for number, title in enumerate(TITLES, 1))
WRITING = GenerationParams(batch_size=4, max_new_tokens=48, do_sample=True, temperature=0.7, top_p=0.9)
LIMITS = {"retries": 2, "max_length": MAX_LENGTH}


class Speaker:
    """A chat model that says what it is told: by id, one answer for each attempt, the last one again and again."""

    def __init__(self, answers: dict[str, list[str]], truncated: bool = False) -> None:
        self.answers, self.truncated, self.calls = answers, truncated, []

    def answer(self, chats, settings, seed):
        self.calls.append((seed, [chat.id for chat in chats]))
        attempt = len(self.calls) - 1
        said = [self.answers[chat.id] for chat in chats]
        return [Reply(own[min(attempt, len(own) - 1)], self.truncated) for own in said]


def test_the_chat_holds_the_title():
    system, user = messages("Handwritten Three over Coffee")
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].endswith("\nTitle: Handwritten Three over Coffee")


def test_a_good_answer_is_taken_at_once_and_a_bad_one_asked_for_again():
    source = "Handwritten Three over Coffee"
    speaker = Speaker({"a": [GOOD], "b": ["", "Sorry.", GOOD], "c": ["1. One", f"1. {source}\n2. A\n3. B"]})
    outcomes = vary(speaker, dict.fromkeys("abc", source), WRITING, seed=0, **LIMITS)
    assert outcomes == [
        Outcome("a", source, TITLES, GOOD, 1),
        Outcome("b", source, TITLES, GOOD, 3),
        Outcome("c", source, Reason.SAME, f"1. {source}\n2. A\n3. B", 3),
    ]
    assert [ids for _, ids in speaker.calls] == [["a", "b", "c"], ["b", "c"], ["b", "c"]]
    assert len({seed for seed, _ in speaker.calls}) == 3


def test_without_retries_there_is_one_attempt():
    speaker = Speaker({"a": [""]})
    (outcome,) = vary(speaker, {"a": "Soup"}, WRITING, seed=0, retries=0, max_length=60)
    assert (outcome.variations, outcome.attempts, len(speaker.calls)) == (Reason.EMPTY, 1, 1)


def test_an_answer_that_was_cut_is_refused_even_if_it_looks_whole():
    (outcome,) = vary(Speaker({"a": [GOOD]}, truncated=True), {"a": "Soup"}, WRITING, seed=0, **LIMITS)
    assert outcome.variations == Reason.CUT


def test_no_titles_have_no_outcomes():
    assert vary(Speaker({}), {}, WRITING, seed=0, **LIMITS) == []
