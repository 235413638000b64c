"""Whether parameters ask of the miniature's own archives what these hold: asked before DVC removes anything."""

from collections.abc import Iterator
from typing import Any

from difflab.core.base.errors import DifflabError, suggestion
from difflab.datasets import KNOWN
from difflab.miniature.archives.subjects import PICTURES, SUBJECTS
from difflab.miniature.data.bundled import HQ_IMAGES
from difflab.study_limits import check_split


def check_bundled(params: Any, source: str) -> None:
    """Refuse checked parameters that name subjects, pictures or attributes which no bundled archive has."""
    if fault := next(_faults(params), ""):
        raise DifflabError(f"{source}: {fault}")
    if params.data.celeba_hq.source == "bundled":
        try:
            check_split(params, min(HQ_IMAGES, params.split.max_rows or HQ_IMAGES))
        except ValueError as error:
            raise DifflabError(f"{source}: {error}") from None


def _faults(params: Any) -> Iterator[str]:
    for data_set in KNOWN:
        known = sorted(data_set.columns)
        for name in getattr(params.split.stratify, data_set.name):
            if name not in known:
                yield f"split.stratify.{data_set.name}: there is no attribute '{name}'{suggestion(name, known)}"
    if params.data.subjects.source == "bundled":
        personal = params.personal
        for subject in personal.subjects:
            if subject.name not in SUBJECTS:
                yield (
                    f"personal.subjects names {subject.name}, and the bundled subjects are {', '.join(SUBJECTS)}: put "
                    "your own into the data root and set data.subjects.source=data_root"
                )
        if (most := max(personal.pictures)) > (left := PICTURES - personal.leave_out):
            yield (
                f"personal.pictures lists {most}, but of {PICTURES} pictures of a bundled subject {personal.leave_out} are "
                f"left out: {max(left, 0)} at most"
            )
