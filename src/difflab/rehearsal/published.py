"""The released models as their repositories describe them, at their own size or at that of a rehearsal."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import read_yaml

HEAD = 64  # channels of an attention head, which the reduced networks keep
GROUPS = 32  # of the normalisations of autoencoders, whose widths are a quarter of `width`
LATENT = 8  # pixels of a picture for each of its latents

_WIDTH = re.compile(r"(\d*)w(?:/(\d+))?")


@cache
def _published() -> dict[str, dict[str, Any]]:

    return read_yaml(Path(__file__).with_name("published.yaml"))


def repositories() -> list[str]:
    """The repositories that are known, in the order of published.yaml."""
    return list(_published()["repositories"])


def repository(repo_id: str) -> dict[str, Any]:
    """What stands in a repository: models, tokenizers, scheduler, precision (see published.yaml).

    Raises:
        DifflabError: it is none of those that are known.
    """
    known = _published()["repositories"]
    if repo_id not in known:
        raise DifflabError(
            f"there is no published configuration of {repo_id} to rehearse with, only of {', '.join(known)}: take one of "
            "them with -S for the rehearsal, or a folder with the model"
        )
    return known[repo_id]


def scheduler(name: str) -> dict[str, Any]:
    """The content of scheduler_config.json."""
    return _published()["schedulers"][name]


def parts() -> list[str]:
    """The names of the networks."""
    return list(_published()["parts"])


def part(name: str) -> dict[str, Any]:
    """A network: its class, and `config`, `generation` and `shards` where it has them."""
    return _published()["parts"][name]


def config(name: str, width: int | None, size: int, vocabulary: int) -> dict[str, Any]:
    """The values of a network's configuration.

    Args:
        width: channels of the reduced network; None: as published, for a tokenizer of at most as many tokens.
        size: side of pictures in pixels.
        vocabulary: tokens of the tokenizer beside it.
    """
    own = part(name)
    if width is None:
        return own["config"]
    symbols = {"h": width // HEAD, "size": size, "side": size // LATENT, "v": vocabulary}
    return _merged(own["config"], _resolved(own["reduced"], symbols, width))


def check_size(width: int, size: int) -> None:
    """Refuse what the networks cannot be.

    Raises:
        DifflabError: a width that is no multiple of a head, or a size that is no multiple of a patch of latents.
    """
    if width < HEAD or width % HEAD:
        raise DifflabError(f"--width is {width}: attention heads have {HEAD} channels, take a multiple of {HEAD}")
    patch = 8 * LATENT  # three times halved by the networks of Stable Diffusion
    if size < patch or size % patch:
        raise DifflabError(
            f"--size is {size}: the networks halve pictures six times, take a multiple of {patch} from {patch} on"
        )


def _resolved(value: Any, symbols: dict[str, int], width: int) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(inner, symbols, width) for name, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, symbols, width) for inner in value]
    if not isinstance(value, str):
        return value
    if found := _WIDTH.fullmatch(value):
        return int(found[1] or 1) * width if not found[2] else max(GROUPS, width // int(found[2]) // GROUPS * GROUPS)
    return symbols[value]


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    inner = {n: _merged(values[n], c) if isinstance(c, dict) else c for n, c in changes.items()}
    return values | inner
