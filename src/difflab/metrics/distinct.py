"""How different texts are from one another."""

import re
from collections.abc import Sequence


def words_of(text: str) -> list[str]:
    """The words of a text, case folded."""
    return re.findall(r"\w+", text.casefold())


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams of words over all n-grams of the texts (Li et al. 2016); 0 where there are none."""
    found = [gram for text in texts for gram in zip(*(words_of(text)[i:] for i in range(n)), strict=False)]
    return len(set(found)) / max(len(found), 1)
