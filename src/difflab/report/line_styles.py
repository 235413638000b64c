"""How the report draws the lines of each kind of captions, and what it calls that."""

from difflab.sd3.artifacts.cells import BOTH, CAPTIONS, OWN, PUBLISHED

STYLES = {
    "solid": "-", "dashed": (0, (4, 2)), "dotted": ":", "dash-dotted": "-.", "long dashes": (0, (8, 2)),
    "dashes and two dots": (0, (6, 2, 1, 2, 1, 2)),
}  # fmt: skip
"""Of matplotlib, by their names for people."""
DRAWN = dict(zip(dict.fromkeys((*PUBLISHED, BOTH, OWN, *CAPTIONS)), STYLES, strict=False))
"""The name of each kind's style."""
