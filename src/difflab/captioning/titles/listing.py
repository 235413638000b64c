"""The entries of a list in a chat model's answer, however it is laid out: numbers, bullets, JSON, quotes, lines."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise, takewhile

_JOINERS = "\u200c\u200d"  # some scripts need them inside words
_EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0e\ufe0f\u20e3]+\u200d?")
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3")
_FENCED = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_LABEL = r"(?:variation|version|option|title|caption)"
_NUMBERED = re.compile(
    rf"""[\s>*_\#(\[]*(?:
        {_LABEL}\s*\#?(?:\d{{1,2}}|[a-c]|one|two|three)\b[\s*_]*      # Variation 1:  Option A (warm):
            (?:[.:)\]：–—-]+|\([^()]*\)[\s*_]*:|$)
        |\d{{1,2}}(?:\s?[.):\]．、）：]+(?!\d)|\s?[-–—](?=\s))         # 1.  1)  (1)  1:  1 -
        |(?:[a-c]|i{{1,3}})[.)](?=\s)                                 # a)  ii.
    )(?:[*_]+(?=\s|$))?""",
    re.IGNORECASE | re.VERBOSE,
)
_INLINE_NUMBER = re.compile(r"(?:^|(?<=\s))\(?([1-9])[.)]\s")
_BULLETED = re.compile(r"\s*(?:[-–—*+]\s+|[•‣·◦▪●○■►→]\s*|-(?=[^\W\d]))")
_OWN_LABEL = re.compile(rf"[*_]*{_LABEL}[*_]*\s*:[*_]*\s*", re.IGNORECASE)
_LIST_ENTRY = re.compile(r"""[\[,]\s*(["'])(.+?)\1\s*(?=[,\]])""")
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』')
_EMPHASIS = ("***", "**", "__", "~~", "*", "_", "`")
_QUOTES = ('""', "''", "“”", "„“", "„”", "””", "‘’", "‚‘", "«»", "»«", "‹›", "「」", "『』", "《》", "＂＂")
_PAIRS = (*((mark, mark) for mark in _EMPHASIS), *(tuple(pair) for pair in _QUOTES))
_QUOTES_INSIDE = re.compile(r'(?:(?:[^"]*\s)?"[^"]+")+[^"]*')
_REMARK = re.compile(r"\s*[-–—(]|\s*$")
_DOUBLE_QUOTES = '"“”„«»'
_PROSE_ENDS = tuple(".:?!…。：？！")


def listed(answer: str) -> list[str]:
    """The entries that the answer lists, without marks, quotes, emphasis and emoji, each on one line.

    A JSON list wins over numbers, numbers over bullets, bullets over bare lines. What stands around the list is
    no entry; a bare line that ends as a sentence does is none either. Entries without a letter are left out.
    """
    text = _plain(answer)
    entries = _from_json(text)
    if entries is None:
        lines = [part for line in text.splitlines() for part in _split_inline(line)]
        entries = _marked(lines, _NUMBERED) or _marked(_outer_bullets(lines), _BULLETED) or _bare(lines)
    found = (unwrapped(entry) for entry in entries if not _announces(entry))
    return [entry for entry in found if any(c.isalpha() for c in entry)]


def unwrapped(entry: str) -> str:
    """One clean line: no bullet, label, emphasis or quotation marks around it, no remark or full stop after it."""
    text = " ".join(unicodedata.normalize("NFC", entry).split())
    while (shorter := _without_one_wrapping(text)) != text:
        text = shorter
    return text


def _without_one_wrapping(text: str) -> str:
    text = re.sub(r"^(?:[-–—*•>]\s+)+|(?:\s+and)+$", "", text.strip(_JOINERS + " "))
    text = text.rstrip(".,;:").rstrip()
    text = text[own.end() :] if (own := _OWN_LABEL.match(text)) else text
    for start, end in _PAIRS:
        if text.startswith(start) and (inner := _inside(text[len(start) :], end)):
            return inner
    if closed := re.fullmatch(r"([^*_]+)[*_]+", text):  # its beginning stood before the number
        return closed[1]
    alone = sum(text.count(c) for c in _DOUBLE_QUOTES) == 1
    return text.strip(_DOUBLE_QUOTES) if alone else text


def _inside(text: str, end: str) -> str:
    """What stands before the closing mark, where nothing or only a remark follows it; else nothing.

    An emphasised beginning with a colon may be the title or the name of its style, so it is left as it is.
    """
    if end == '"' and text.endswith(end) and _QUOTES_INSIDE.fullmatch(text[:-1]):
        return text[:-1]
    quoted = end not in _EMPHASIS
    inner, mark, rest = text.partition(end)
    while quoted and mark and end in "'’" and inner[-1:].isalpha() and rest[:1].isalpha():  # an apostrophe
        more, mark, rest = rest.partition(end)
        inner += end + more
    follows = _REMARK.match(rest) or (quoted and rest.startswith(":"))
    return inner.strip() if mark and follows and (quoted or not inner.endswith(":")) else ""


def _plain(answer: str) -> str:
    """Without emoji and invisible characters; inside code fences where there are any."""
    text = _KEYCAP.sub(r"\1. ", answer)
    text = "".join(c for c in _EMOJI.sub(" ", text) if unicodedata.category(c) != "Cf" or c in _JOINERS)
    return "\n".join(_FENCED.findall(text)) or text


def _from_json(text: str) -> list[str] | None:
    """The strings of a JSON (or Python) list, or of an object that holds them; None where there is none.

    An object that holds anything else has no entries; brackets may stand in any text.
    """
    starts, ends = [i for i in map(text.find, "[{") if i >= 0], max(map(text.rfind, "]}"))
    if not starts or ends < min(starts):
        return None
    part = text[min(starts) : ends + 1]
    try:
        entries = _strings(json.loads(part, strict=False))
    except (ValueError, RecursionError):
        found = [content for _, content in _LIST_ENTRY.findall(part)] if part.startswith("[") else []
        entries = found if len(found) > 1 else None
    return [] if entries is None and part.startswith("{") else entries


def _strings(value: object) -> list[str] | None:
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        value = lists[0] if len(lists) == 1 else list(value.values())
    if not isinstance(value, list):
        return None
    entries = [_single(v) if isinstance(v, dict) else v for v in value]
    return entries if entries and all(isinstance(e, str) for e in entries) else None


def _single(entry: dict) -> object:
    return entry.get("title") if len(entry) > 1 else next(iter(entry.values()), None)


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
        if _BULLETED.match(line):
            indent = sum(1 for _ in takewhile(str.isspace, line))
            outer = indent if outer is None else outer
            if indent > outer:
                continue
        yield line


def _bare(lines: Iterable[str]) -> list[str]:
    """Lines that are no sentences; quoted parts of a line; the parts of a single line between ; or |."""
    entries: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        quoted = ["".join(groups) for groups in _QUOTED.findall(line)]
        if len(quoted) > 1:
            entries += quoted
        elif not _is_sentence(line):
            entries.append(line)
    return re.split(r"[;|]", entries[0]) if len(entries) == 1 else entries
