"""The prompts that the networks of digits read: a few words, all of them known."""

import re

from difflab.core.base.numerals import NUMBER_WORDS

TEMPLATES = ("{word}", "{number}", "the digit {number}", "the digit {word}", "a handwritten {word}", "a {word}")


def digit_prompts(digit: int) -> list[str]:
    """The ways to ask for a digit: "three", "3", "the digit 3", ..."""
    return [t.format(word=NUMBER_WORDS[digit], number=digit) for t in TEMPLATES]


def words_of(prompt: str) -> list[str]:
    """The words of a prompt in lower case."""
    return re.findall(r"\w+", prompt.lower())


def unreadable_prompt(prompt: str) -> str:
    """Why a network that learnt `digit_prompts` cannot read a prompt, as the end of a sentence; empty where it can."""
    known = [words_of(p) for digit in range(len(NUMBER_WORDS)) for p in digit_prompts(digit)]
    words, read, longest = words_of(prompt), {word for each in known for word in each}, max(map(len, known))
    if not words:
        return "has no word"
    if unknown := [word for word in words if word not in read]:
        return f"has the unknown word '{unknown[0]}': the model learns {', '.join(sorted(read))}"
    return f"has {len(words)} words, the model reads {longest}" if len(words) > longest else ""
