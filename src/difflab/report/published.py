"""The figures of the published study, from published.yaml beside this file."""

from functools import cache
from pathlib import Path
from typing import Any

from difflab.sd3.cells import mean_on_sigma


@cache
def published() -> dict[str, Any]:
    """All published figures with their source, as in published.yaml."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("published.yaml").read_text())


def published_fid(captions: str, on_sigma: float | None) -> float | None:
    """FID of one cell of the published table; None where it has no such cell.

    Args:
        captions: "blip2" or "llama3".
        on_sigma: mean of logit(sigma) before the shift (`cells.mean_on_sigma`); None for the pretrained
        model.
    """
    figures = published()
    for row in figures["fid"]:
        mean = row["logit_mean"]
        known = None if mean is None else mean_on_sigma(mean, figures["convention"])
        if known == on_sigma:
            return row[captions]
    return None
