"""What a caption affirms: words under a negation are no facts (the rule of NegEx, Chapman et al. 2001, for captions).

A cue ("no", "not", "without", "neither", "isn't", ...) denies the words after it, up to the end of its scope:

- the end of the line, a mark other than a comma, or "but", "however", "although", "yet", "except", "who", "which", "that"
- a preposition of place or "with", or a verb form ("has", "wearing", ...), unless the cue rules it: "not wearing a hat"
- "and", but after "without" and "neither", unless a verb follows it
- a comma, unless a list goes on that "or" or "nor" closes: "no hat, glasses, or beard"
- a second cue, of lack, which takes the denial back: "never without a hat"

"or" and "nor" go on. "not only", "no doubt", "no less than" and the like are no cues. One within a hyphenated word
("no-bake") denies that word alone, one between an article and an adjective ("a barely visible smile") the adjective.
What is said afterwards denies, too: "hat-free", "the hat is missing", "hat: none".
"""

import re
import unicodedata
from collections.abc import Iterator

_NOT_CUES = (
    r"not (?:only|just|merely|without)|no (?:doubt|wonder|question|ordinary|(?:less|fewer|more|other) than)"
    r"|none other than|without (?:a )?doubt|nothing (?:but|except)|if not for|hard not to"
    r"|(?:never|not|can ?not|(?:ca|do|does|did|could) ?n't|can (?:hardly|barely))"
    r" (?:help|stops?|hide|suppress|miss|overlook|ignore)"
)
_LACK = (
    r"w/o(?:ut)?|without|lack(?:s|ing)?|sans|minus|excluding|avoid(?:s|ed|ing)?|(?:free|devoid|absence|instead) of"
    r"|(?:everything|anything) (?:but|except)|(?:refus\w+|fail(?:s|ed)?|unable) to"
)
_CUES = (
    rf"{_LACK}|(?:not (?:true|clear|certain|sure)|false|unclear|uncertain) (?:that|whether|if)"
    r"|not yet|nowhere near|far from(?= (?:being|bald|young|\w+ing)\b)|no longer"
    r"|no one|no|not|non|neither|nor|never|none|nobody|nothing|nowhere|cannot|rather than"
    r"|hardly|barely|scarcely|rarely|seldom|(?:almost|nearly)(?= \w+(?:s|ing)\b)|(?:un)?able to avoid"
    r"|(?:tak(?:es|ing|en)|took|shav(?:es|ed|ing)) off|remov(?:ed|es|ing)"
    r"|(?:stop(?:s|ped)|quits?|ceas(?:es|ed))(?= \w+ing\b)"
    r"|(?:is|are|was|were|does|do|did|has|have|had|ca|wo|could|would|should|ai|must|need|might) ?n't"
    r"|(?:is|are|was|were|does|do|did|has|have|had|ca|could|would|should|ai)nt"
)
_CUE = re.compile(rf"\b(?P<not_a_cue>{_NOT_CUES})\b|\b(?P<cue>{_CUES})\b")
_LACKING = re.compile(rf"(?:{_LACK})(?!\w)")
_STEP = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s]|\n")  # words, hyphenated ones whole, and marks
_COMPOUND = re.compile(r"-\w[\w'-]*")
_BREAKS = {
    "but", "however", "although", "though", "yet", "except", "while", "whereas", "who", "which", "that", "because",
}  # fmt: skip
_PLACES = {"on", "in", "at", "over", "above", "under", "below", "behind", "against", "beside", "near", "with", "during"}
_VERBS = {
    "is", "are", "was", "were", "has", "have", "had", "having", "wears", "wear", "wearing", "wore", "looks", "looking",
    "smiles", "smiling", "shows", "showing", "stands", "standing", "sits", "sitting", "appears", "seems", "poses", "posing",
}  # fmt: skip
_RULING = {
    "to", "be", "been", "being", "seen", "shown", "seem", "appear", "even", "ever", "quite", "or", "nor", "do", "does",
    "did", "is", "have", "put", "dressed",
}  # fmt: skip
_PRONOUNS = {"he", "she", "they", "it", "anyone"}
_NOBODY = re.compile(r"(?:^|[.,;!?\n] ?|\b(?:and|but|that|because|where) )(?:no one|nobody|none|neither)$")
_PERSON = re.compile(r" (?:m[ae]n|wom[ae]n|person|people|child|boy|girl|face)\b")
_LISTED = re.compile(r"(?:,\s*(?:[^\s,.;:!?]+\s*){1,4})*?,?\s*(?:or|nor)\b|,\s*(?:such as|including)\b")
_OF_AN_ADJECTIVE = re.compile(r"\b(?:an?|the) (?:not|hardly|barely|scarcely)$")  # behind it: the adjective
_ADJECTIVE = re.compile(r"(?: (?:so|too|very|quite|all|that|\w+ly))* (?!(?:so|too|very|quite)\b)[\w'-]+")
_ABSENT = "absent|missing|lacking|gone|removed|nowhere|invisible|faded|vanished|disappeared|(?:taken )?off(?!-)"
_SHOWN = (
    "visible|present|shown|seen|there|worn|on|apparent|evident|included|depicted"
    "|in (?:sight|view|the (?:picture|image|photo))"
)
_DENIED_AFTER = re.compile(
    r"(?:-free|-?less)\b"
    r"|(?: ?[:=?] ?| [-–—] )(?:no|none|absent|false)\b(?= ?(?:$|[.,;!)\n]))"
    r"| (?:absent|missing|lacking|off)(?= ?(?:$|[.,;!)\n]))"
    r"|(?: (?:on|from|in|around|under|over|above) (?:his|her|their|its|the|a) \w+)? (?:"
    rf"(?:is|are|was|were|has|have|had)(?: been)?(?: \w+ly)? (?:{_ABSENT}|not(?: being| to be| \w+ly)? (?:{_SHOWN}))"
    rf"|(?:(?:is|are|was|were) ?n't|cannot|ca ?n't)(?: be| being| \w+ly)? (?:{_SHOWN}))\b"
)
_SAME = str.maketrans({c: "'" for c in "’ʼ‘＇`´"} | {c: "-" for c in "‐‑﹣－"})


def affirms(pattern: str, caption: str) -> bool:
    """Whether a regular expression matches somewhere in the caption, in lower case, where nothing denies it.

    Of a match that goes over the border of a denial both ends count: "hair is not black but brown" affirms brown hair.
    """
    text = _lower(_plain(caption))
    denied = list(_scopes(text))
    return any(
        not any(start < at < end for start, end in denied for at in (found.start() + 0.5, found.end() - 0.5))
        and not _DENIED_AFTER.match(text, found.end())
        for found in re.finditer(pattern, text)
    )


def undenied(text: str) -> str:
    """The text with blanks in place of what it denies, and straight apostrophes and hyphens."""
    text = _plain(text)
    for start, end in _scopes(_lower(text)):
        text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
    return text


def _plain(text: str) -> str:
    """Each line with single spaces, characters that look the same alike."""
    lines = unicodedata.normalize("NFC", text).translate(_SAME).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines)


def _lower(text: str) -> str:
    """Lower case of the same length."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def _scopes(text: str) -> Iterator[tuple[int, int]]:
    """Where a text is denied: from the end of each cue to the end of its scope."""
    taken_back = -1
    for cue in _CUE.finditer(text):
        if cue["cue"] and cue.start() != taken_back:
            nobody = _NOBODY.search(text[: cue.end()]) or (cue["cue"] == "no" and _PERSON.match(text, cue.end()))
            end = _scope_end(text, cue.end(), cue["cue"], subject=bool(nobody))
            if _OF_AN_ADJECTIVE.search(text[: cue.end()]) and (word := _ADJECTIVE.match(text, cue.end())):
                end = end if word[0].split()[-1] in _VERBS else word.end()
            taken_back = end if _LACKING.match(text, end) else -1
            yield cue.end(), end


def _scope_end(text: str, start: int, cue: str, subject: bool) -> int:
    """Where the scope of a cue ends; where it is the `subject` ("nobody wears a hat"), behind its first verb at least."""
    if compound := _COMPOUND.match(text, start):
        return compound.end()
    ruled = True  # whether the cue, or a word that hands it on, stands right before
    before = ""
    for step in _STEP.finditer(text, start):
        word = step[0]
        if word == ",":
            if not _LISTED.match(text, step.start()):
                return step.start()
        elif not word[0].isalnum():
            if word not in "'\"-/" or (word == "-" and text[step.start() - 1].isspace()):
                return step.start()
            continue
        elif word in _BREAKS or (before not in ("or", "nor", ",") and _LACKING.match(text, step.start())):
            return step.start()
        elif word == "and":
            following = _STEP.match(text, _skip_space(text, step.end()))
            if cue not in ("without", "neither") or (following and following[0] in _VERBS | _PLACES):
                return step.start()
        elif word in _VERBS | _PLACES and not ruled:
            if not subject:
                return step.start()
            subject = word not in _VERBS
        ruled = word in _RULING or (ruled and (word in _PRONOUNS or word.endswith("ly")))
        before = word
    return len(text)


def _skip_space(text: str, start: int) -> int:
    return len(text) - len(text[start:].lstrip())
