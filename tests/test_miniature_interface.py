"""The miniature stays behind its interface: shared packages and the SD3 study know nothing of its pictures."""

import re

import pytest

_WORDS = re.compile(r"digit(?!s of (?:everything|any|a role)|s? (?:at|hash))|_photo|photo_|photograph|handwritten", re.IGNORECASE)
