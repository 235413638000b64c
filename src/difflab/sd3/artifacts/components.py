"""The autoencoder and the text encoders behind latents, prompt embeddings, a base and its adapters, by fingerprint.

What was trained on the latents of one autoencoder is meaningless with another, and nothing would show it but
bad pictures; so whatever is trained keeps the fingerprints, and whoever puts parts together compares them.
"""

from collections.abc import Mapping
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, write_json

Components = dict[str, str]
"""Fingerprints (`difflab.core.base.roles.fingerprint`) under the keys of `NAMES`."""

NAMES = {"vae": "another autoencoder", "text_encoders": "other text encoders"}
FILE_NAME = "components.json"


def check_components(what: str, trained_with: Mapping[str, str], present: Components, remedy: str) -> None:
    """Refuse, as a DifflabError, to put `what` together with components that it was not trained with."""
    for part, name in NAMES.items():
        if trained_with.get(part) != present[part]:
            raise DifflabError(
                f"{what} was trained with {name} ({trained_with.get(part, '?')}, not {present[part]}): {remedy}"
            )


def write_components(base: Path, present: Components) -> None:
    """Record in the folder of a base what it was trained with."""
    write_json(base / FILE_NAME, present)


def check_base(base: Path, present: Components) -> None:
    """`check_components` of the resolved folder of a base; a released one has no record and passes."""
    if (base / FILE_NAME).exists():
        check_components(str(base), read_json(base / FILE_NAME), present, "run `dvc repro zoo_transformer`")
