"""What a chat model's answer says, however it is laid out: the one reader of all answers.

An answer is read in three steps, each of which takes off a layer:

1. `plain`       reasoning, marks of turns, emoji and invisible characters go; inside a code fence only its content counts
2. `_layout`     a JSON list wins over numbers, numbers over bullets, bullets over bare lines; lead-ins and notes go
3. `unwrapped`   bullets, labels, emphasis, quotation marks and remarks around one entry go

`entries` is for whoever asked for a list, `sentence` for whoever asked for one line: of a refusal, of reasoning that is
cut off and of nothing at all, there are none. Nothing raises. What models say around an answer stands in `phrases`.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import cast

from difflab.models.language import phrases
from difflab.models.language.plain_text import JOINERS, plain, untagged

_LABEL = phrases.LABEL
_NUMBERED = re.compile(
    rf"""[\s>*_\#(\[（]*(?:
        {_LABEL}\s*\#?(?:\d{{1,2}}|[a-c]|one|two|three)\b[\s*_]*      # Variation 1:  Option A (warm):
            (?:[.:)\]：–—-]+|\([^()]*\)[\s*_]*:|$)
        |(?:案|选项|選項|版本|バージョン|옵션|버전)\s?\d{{1,2}}\s?[.:：]
        |[①-⑳❶-❿]\s*|第?[一二三四五六七八九十]{{1,2}}[、：]|[가나다라]\.(?=\s)|[абв]\)(?=\s)|[אבג]\.(?=\s)
        |(?:no\.?|n[°º])\s?\d{{1,2}}(?:[.:)]+|(?=\s))|(?:first|second|third):(?=\s)|(?:one|two|three)\.(?=\s)
        |\d{{1,2}}(?:\s?[.):\]．、）：]+(?!\d)|\s?[-–—](?=\s))         # 1.  1)  (1)  1:  1 -
        |(?:[a-c]|i{{1,3}})[.)](?=\s)                                 # a)  ii.
    )(?:[*_]+(?=\s|$))?""",
    re.IGNORECASE | re.VERBOSE,
)
_INLINE_NUMBER = re.compile(r"(?:^|(?<=\s))\(?([1-9])[.):]\s")
_BULLETED = re.compile(r"\s*(?:[-‒–—*+~]\s+(?:\[[ xX]?\]\s+)?|[•‣⁃·◦▪●○■►→・]\s*|-(?=[^\W\d]))")
_OWN_LABEL = re.compile(
    rf"[*_]*{_LABEL}(?:\s*\#?(?:\d{{1,2}}|[a-c]))?[*_]*(?:\s*\([^()]{{1,30}}\))?[*_]*\s*[:：][*_]*\s*"
    r"|(?:new |final )?(?:caption|title|description)(?:\s?=|\s[-–—]\s)\s*"
    rf"|[【\[]{_LABEL}[】\]]\s*",
    re.IGNORECASE,
)
_HEADING = re.compile(rf"[\s#*_]*{_LABEL}[\s*_]*", re.IGNORECASE)
_ROW = re.compile(r"\s*\|(.+)\|\s*")
_LOOP = re.compile(
    r"(?<!\w)(?P<word>\w+)(?:[\s,]+(?P=word)\b){4,}"
    r"|(?<!\w)(?P<unit>\w\S*\s+\S(?:.{0,200}?\S)?)(?:[\s,;]+(?P=unit)){2,}(?!\w)"
    r"|(?P<run>[^\x00-\u0dff\s][^\x00-\x7f]{2,60}?)(?P=run){2,}"  # of scripts without spaces
)
_LEAD_IN, _ANNOUNCEMENT, _NOTE, _TAIL, _REFUSAL, _NOTHING = (
    re.compile(p, re.IGNORECASE)
    for p in (phrases.LEAD_IN, phrases.ANNOUNCEMENT, phrases.NOTE, phrases.TAIL, phrases.REFUSAL, phrases.NOTHING)
)
_FIRST_MARK = re.compile(
    rf"(?:{_BULLETED.pattern}|\s*[(\[]?\d{{1,2}}(?:[.)\]:]+(?:\s+|$)|[．、）：]\s*)|\s*[①-⑳❶-❿]\s*|\s*(?:>\s*)+|\s*#+\s+"
    r"|\s*\[[ xX]?\]\s+|\s*\(?[a-c]\)\s+|\s*[=-]>\s*)"
)
_LIST_ENTRY = re.compile(r"""[\[,]\s*(["'])(.+?)\1\s*(?=[,\]])""")
_KEYED = re.compile(
    rf"""(?:["']|(?<=[{{,])\s*)(?:\w+_)?(?:{_LABEL}|text|rewritten)(?:_\w+)?["']?\s*:\s*(?P<quote>["'])"""
    r"""(?P<value>(?:\\.|(?!(?P=quote)).)*)""",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』')
_EMPHASISED = re.compile(r"(?<![\w*_`~])(\*\*\*|\*\*|__|~~|\*|_|`)(?=\S)([^*_`~]+)(?<=\S)\1(?![\w*_`~]|\.\w)")
_STRUCK, _LINK = re.compile(r"~~[^~]+~~\s*"), re.compile(r"!?\[([^\]]+)\]\([^()\s]+\)")
_ESCAPED = re.compile(r"\\([-.!#*_()\[\]{}+`])")
_EMPHASIS = ("```", "``", "***", "**", "__", "~~", "*", "_", "`")
_QUOTES = (
    '""',
    "''",
    "“”",
    "„“",
    "„”",
    "””",
    "‘’",
    "‚‘",
    "«»",
    "»«",
    "‹›",
    "「」",
    "『』",
    "《》",
    "＂＂",
    "〈〉",
    "〝〞",
    "〝〟",
    "｢｣",
    "〔〕",
    "״״",
    "‘‘",
    "‚’",
    "›‹",
    "‟”",
    "”“",
    "´´",
    "``",
    "`'",
    "＇＇",
)
_PAIRS = (
    ("``", "''"),
    ('"""', '"""'),
    ("'''", "'''"),
    ('\\"', '\\"'),
    *((mark, mark) for mark in _EMPHASIS),
    *(tuple(pair) for pair in _QUOTES),
)
_QUOTES_INSIDE = re.compile(r'(?:(?:[^"]*\s)?"[^"]+")+[^"]*')
_REMARK = re.compile(r"\s*[-–—(]|\s*$")
_DOUBLE_QUOTES = '"“”„«»「」『』'
_PROSE_ENDS = tuple(".:?!…。：？！")


def entries(answer: str) -> list[str]:
    """The entries that the answer lists, without marks, quotes, emphasis and emoji, each on one line.

    What stands around a list is no entry; a bare line that ends as a sentence does is none either. Entries without
    a letter are left out.
    """
    found = (unwrapped(entry) for entry in _layout(plain(answer)) if not _announces(entry))
    return [entry for entry in found if any(c.isalpha() for c in entry)]


def sentence(answer: str) -> str:
    """The first thing that the answer says, on one line, its full stop kept; empty where it says nothing or refuses.

    Lead-ins ("Sure! Here is the caption:"), notes and marks are no part of it, and what it repeats stands once.
    """
    text = plain(untagged(answer))
    stated = _from_json(text, single=True)
    for line in _said_lines(text) if stated is None else stated:
        said = _led_in(_cell(line))
        if _REFUSAL.match(said):
            return ""
        if _announces(said) or _NOTE.match(said) or any(p.fullmatch(said) for p in (_HEADING, _NOTHING, _ANNOUNCEMENT)):
            continue
        said = _led_in(_without_emphasis(unwrapped(said, whole=True)))
        said = _without_loop(unwrapped(_TAIL.sub("", said), whole=True))
        if any(c.isalnum() for c in said):
            return said
    return ""


def _said_lines(text: str) -> Iterator[str]:
    """The lines of a text; of one that begins with "1." and goes on with "2.", each number's."""
    for line in text.splitlines():
        yield from _split_inline(line) if _INLINE_NUMBER.match(line) else (line,)


def _led_in(line: str) -> str:
    """A line without the marks and lead-ins that it begins with."""
    while (shorter := _after(_LEAD_IN, _after(_FIRST_MARK, line))) != line:
        line = shorter
    return line


def _cell(line: str) -> str:
    """Of the row of a table, the first cell with a letter."""
    row = _ROW.fullmatch(line)
    return next((cell for cell in row[1].split("|") if any(c.isalpha() for c in cell)), "") if row else line


def _without_loop(text: str) -> str:
    """Of words that come three times or more in a row (one word: five times), the first; what is cut off goes, too."""
    found = _LOOP.search(text)
    if not found:
        return text
    unit, rest = found["unit"] or found["word"] or found["run"], text[found.end() :]
    left = rest.lstrip(" ,;")
    return (text[: found.start()] + unit + ("" if unit.startswith(left) else rest)).strip().rstrip(",;")


def _after(mark: re.Pattern[str], text: str) -> str:
    """The text without the mark that it begins with."""
    found = mark.match(text)
    return text[found.end() :] if found else text


def unwrapped(entry: str, whole: bool = False) -> str:
    """One clean line: no bullet, label, emphasis or quotation marks around it, no remark or full stop after it.

    Args:
        whole: the entry is a sentence: what follows a quotation, and its full stop, belong to it.
    """
    text = unicodedata.normalize("NFC", entry)
    if whole:  # JSON spells control characters and halves of characters; a title with such is asked for again
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))
    text = " ".join(text.split())
    while (shorter := _without_one_wrapping(text, whole)) != text:
        text = shorter
    return text


def _without_one_wrapping(text: str, whole: bool) -> str:
    text = re.sub(r"^(?:(?:[-‒–—*•>]|#+)\s+)+", "", text.strip(JOINERS + " "))
    if not whole:
        text = re.sub(r"\s*\((?:\d+ words?|note: [^()]*)\)$", "", text, flags=re.IGNORECASE)
        text = re.sub(r"(?:\s+and)+$", "", text).rstrip(".,;:").rstrip()
    text = _after(_OWN_LABEL, text)
    for start, end in _PAIRS:
        if text.startswith(start) and (inner := _inside(text[len(start) :], end, whole)):
            return inner
    if closed := re.fullmatch(r"([^*_]+)[*_]+", text):  # its beginning stood before the number
        return closed[1]
    if (opened := re.match(r"(?:```|\*{2,3}|`)(?=\w)", text)) and text.count(opened[0]) == 1:
        return text[opened.end() :]
    alone = sum(text.count(c) for c in _DOUBLE_QUOTES) == 1
    return text.strip(_DOUBLE_QUOTES) if alone else text


def _without_emphasis(text: str) -> str:
    """A sentence without marks of emphasis, links and strokes within it; what is struck out goes."""
    left = _STRUCK.sub("", text)
    text = _LINK.sub(r"\1", left if any(c.isalpha() for c in left) else text)
    while (shorter := _EMPHASISED.sub(r"\2", text)) != text:
        text = shorter
    return _ESCAPED.sub(r"\1", text)


def _inside(text: str, end: str, whole: bool) -> str:
    """What stands before the closing mark, where nothing or (not in a `whole` sentence) a remark follows; else nothing.

    An emphasised beginning with a colon may be the title or the name of its style, so it is left as it is.
    """
    if end == '"' and text.endswith(end) and _QUOTES_INSIDE.fullmatch(text[:-1]):
        return text[:-1]
    quoted = end not in _EMPHASIS
    inner, mark, rest = text.partition(end)
    while quoted and mark and end in "'’" and inner[-1:].isalpha() and rest[:1].isalpha():  # an apostrophe
        more, mark, rest = rest.partition(end)
        inner += end + more
    if whole and quoted and mark and rest in (".", "。"):  # the full stop of a quotation, after it
        return inner.strip() + ("" if inner.strip().endswith(_PROSE_ENDS) else rest)
    ends = not rest if whole else _REMARK.match(rest) or (quoted and rest.startswith(":"))
    return inner.strip() if mark and ends and (quoted or not inner.endswith(":")) else ""


def _layout(text: str) -> list[str]:
    """The raw entries of a text: of a JSON list, else what follows numbers, else bullets, else bare lines."""
    if (stated := _from_json(text)) is not None:
        return stated
    lines = [part for line in text.splitlines() for part in _split_inline(line)]
    return _marked(lines, _NUMBERED) or _marked(_outer_bullets(lines), _BULLETED) or _bare(lines)


def _from_json(text: str, single: bool = False) -> list[str] | None:
    """The strings of a JSON (or Python) list, or of an object that holds them; None where there is none.

    Args:
        single: one is asked for: of an object that holds anything else, too, the one whose key says so, or the first.

    Otherwise such an object has no entries; brackets may stand in any text.
    """
    starts, ends = [i for i in map(text.find, "[{") if i >= 0], max(map(text.rfind, "]}"))
    if single and (keyed := _KEYED.search(text)) and text.lstrip(" \n`").startswith(("{", "[", '"')):
        return [_unescaped(keyed["value"])]
    if not starts or ends < min(starts):
        return None
    before, part = text[: min(starts)].rstrip(" \t`"), text[min(starts) : ends + 1]
    if single and before and not before.endswith((":", "：", "\n")):  # brackets within a sentence
        return None
    try:
        found = json.loads(part, strict=False)
        entries = _strings(found)
        if single and not entries and isinstance(found, dict):
            entries = [value for value in found.values() if isinstance(value, str)]
    except (ValueError, RecursionError):
        listed = _LIST_ENTRY.findall(part) if part.startswith("[") else []
        found = [content.replace("\\'", "'") for _, content in listed]
        whole = single and part == text.strip()
        entries = found if len(found) > 1 or (whole and found) else None
    if single:  # brackets may stand in any sentence: only what is nothing but them says nothing
        return entries or (None if part != text.strip() or not _is_json(part) else [])
    return [] if entries is None and part.startswith("{") else entries


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _strings(value: object) -> list[str] | None:
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        inner = next(iter(value.values()), None)
        if len(value) == 1 and isinstance(inner, dict):
            return _strings(inner)
        value = lists[0] if len(lists) == 1 else list(value.values())
    if not isinstance(value, list):
        return None
    entries = [_single(v) if isinstance(v, dict) else v for v in value]
    return cast("list[str]", entries) if entries and all(isinstance(e, str) for e in entries) else None


def _single(entry: dict) -> object:
    texts = [value for value in entry.values() if isinstance(value, str)]
    return entry.get("title", texts[0] if len(texts) == 1 else None)


def _unescaped(text: str) -> str:
    """A string of JSON, without its quotes, as it reads."""
    text = text.replace("\\'", "'")  # of Python
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _split_inline(line: str) -> list[str]:
    """A line that holds "1. ... 2. ... 3. ..." as one line for each of them."""
    marks = list(_INLINE_NUMBER.finditer(line))
    if len(marks) < 2 or [int(m[1]) for m in marks] != list(range(1, len(marks) + 1)):
        return [line]
    bounds = [m.start() for m in marks] + [len(line)]
    return [line[a:b] for a, b in pairwise(bounds)]


def _marked(lines: Iterable[str], mark: re.Pattern[str]) -> list[str]:
    """What follows each mark: on its line, on the next where nothing follows, and where the line is wrapped.

    A line right below that begins in lower case, or is set in and no sentence, goes on with the entry.
    """
    entries: list[str] = []
    open_ = False
    for line in lines:
        text = line.strip()
        if found := mark.match(line):
            entries.append(line[found.end() :])
            open_ = True
        elif open_ and _announces(entries[-1]):
            entries[-1] = text or entries[-1]
        elif open_ and _goes_on(line):
            entries[-1] += f" {text}"
        else:
            open_ = False
    return entries


def _goes_on(line: str) -> bool:
    text = line.strip()
    return text[:1].islower() or (text[:1].isalnum() and line[0].isspace() and not _is_sentence(text))


def _announces(entry: str) -> bool:
    """Whether an entry only says what follows: it is empty, or ends with a colon."""
    text = entry.strip().rstrip("*_` ")
    return text.endswith((":", "：")) or not any(c.isalnum() for c in text)


def _is_sentence(line: str) -> bool:
    return line.rstrip("*_\"'”’» ").endswith(_PROSE_ENDS)


def _outer_bullets(lines: Iterable[str]) -> Iterator[str]:
    """The lines without bullets that are set in below the first one."""
    outer: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if _BULLETED.match(line):
            outer = indent if outer is None else outer
            if indent > outer:
                continue
        yield line


def _bare(lines: Iterable[str]) -> list[str]:
    """Lines that are no sentences; quoted parts of a line; the parts of a single line between ; or |."""
    entries: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        cut_off = line.startswith(("{", "["))  # JSON, whose keys are no entries
        found = [m for m in _QUOTED.finditer(line) if not (cut_off and line[m.end() :].lstrip().startswith(":"))]
        quoted = ["".join(filter(None, m.groups())) for m in found]
        if len(quoted) > 1:
            entries += quoted
        elif not (_is_sentence(line) or _NOTE.match(line) or _REFUSAL.match(line) or _HEADING.fullmatch(line)):
            entries.append(line)
    if len(entries) > 1 and all(entry.startswith(f"{n} ") for n, entry in enumerate(entries, 1)):  # counted
        return [entry.partition(" ")[2] for entry in entries]
    return re.split(r"[;|]| / ", entries[0]) if len(entries) == 1 else entries
