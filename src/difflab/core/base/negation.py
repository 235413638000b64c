"""What a caption affirms: words under a negation are no facts (the rule of NegEx, Chapman et al. 2001, for captions).

A cue ("no", "not", "without", "neither", "isn't", ...) denies the words after it, up to the end of its scope:

- a mark other than a comma, or "but", "however", "although", "yet", "except", "while", "who", "which", "that"
- a preposition of place or "with", or a verb form ("has", "wearing", ...), unless the cue rules it: "not wearing a hat"
- "and", but after "without" and "neither", unless a verb follows it
- a comma, unless a list goes on that "or" or "nor" closes: "no hat, glasses, or beard"

"or" and "nor" go on. "not only", "no doubt" and the like are no cues. "hat-free" and "the hat is missing" are denials, too.
"""

import re
from collections.abc import Iterator

_NOT_CUES = r"not (?:only|just|merely|without)|no doubt|without (?:a )?doubt|nothing but|(?:can't|cannot) (?:help|stop)"
_CUES = (
    r"no longer|no one|no|not|non|without|lack(?:s|ing)?|neither|nor|never|none|nobody|nothing|hardly|sans|minus|cannot"
    r"|(?:free|devoid|absence|instead) of|rather than|(?:un)?able to avoid|(?:refus\w+|fail(?:s|ed)?|unable) to"
    r"|(?:tak(?:es|ing|en)|took) off|remov(?:ed|es|ing)"
    r"|(?:is|are|was|were|does|do|did|has|have|had|ca|wo|could|would|should)n't"
)
_CUE = re.compile(rf"\b(?P<not_a_cue>{_NOT_CUES})\b|\b(?P<cue>{_CUES})\b")
_STEP = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s]")  # words, hyphenated ones whole, and marks
_BREAKS = {
    "but",
    "however",
    "although",
    "though",
    "yet",
    "except",
    "while",
    "whereas",
    "who",
    "which",
    "that",
    "because",
}
_PLACES = {"on", "in", "at", "over", "above", "under", "below", "behind", "against", "beside", "near", "with", "during"}
_VERBS = {
    "is", "are", "was", "were", "has", "have", "had", "having", "wears", "wear", "wearing", "wore", "looks", "looking",
    "smiles", "smiling", "shows", "showing", "stands", "standing", "sits", "sitting", "appears", "seems", "poses", "posing",
}  # fmt: skip
_RULING = {
    "to",
    "be",
    "been",
    "being",
    "seen",
    "shown",
    "seem",
    "appear",
    "even",
    "or",
    "nor",
    "do",
    "does",
    "did",
    "is",
}
_PRONOUNS = {"he", "she", "they", "it", "anyone"}
_LISTED = re.compile(r"(?:,\s*(?:[^\s,.;:!?]+\s*){1,4})*?,?\s*(?:or|nor)\b")
_DENIED_AFTER = re.compile(
    r"(?:-free|-?less)\b|\s+(?:is|are)\s+(?:absent|missing|not (?:visible|present|shown|there))\b"
)


def affirms(pattern: str, caption: str) -> bool:
    """Whether a regular expression matches somewhere in the caption, in lower case, where nothing denies it."""
    text = caption.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    denied = list(_scopes(text))
    return any(
        not (any(found.start() < end and start < found.end() for start, end in denied))
        and not _DENIED_AFTER.match(text, found.end())
        for found in re.finditer(pattern, text)
    )


def _scopes(text: str) -> Iterator[tuple[int, int]]:
    """Where a text is denied: from the end of each cue to the end of its scope."""
    for cue in _CUE.finditer(text):
        if cue["cue"]:
            yield cue.end(), _scope_end(text, cue.end(), cue["cue"])


def _scope_end(text: str, start: int, cue: str) -> int:
    ruled = True  # whether the cue, or a word that hands it on, stands right before
    for step in _STEP.finditer(text, start):
        word = step[0]
        if word == ",":
            if not _LISTED.match(text, step.start()):
                return step.start()
        elif not word[0].isalnum():
            if word not in "'\"-/" or (word == "-" and text[step.start() - 1].isspace()):
                return step.start()
            continue
        elif word in _BREAKS:
            return step.start()
        elif word == "and":
            following = _STEP.match(text, _skip_space(text, step.end()))
            if cue not in ("without", "neither") or (following and following[0] in _VERBS | _PLACES):
                return step.start()
        elif word in _VERBS | _PLACES and not ruled:
            return step.start()
        ruled = word in _RULING or (ruled and (word in _PRONOUNS or word.endswith("ly")))
    return len(text)


def _skip_space(text: str, start: int) -> int:
    return len(text) - len(text[start:].lstrip())
