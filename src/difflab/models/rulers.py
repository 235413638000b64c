"""Rulers: the networks whose features and classes score images. Their weights stand in Git.

Training again on another processor gives another network, and distances of two networks do not compare. So the study
scores with the weights of `rulers/`, in half precision, and its stages copy them:

rulers/vision_encoder/            as `models.vision.vision_encoder` writes it, and ruler.json
rulers/classifier/<data set>/     as `ddpm.classifier` writes it, and ruler.json

A ruler is good for the settings and pictures that it was trained with. For others, `zoo.rulers: retrain` trains one.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import atomic_path, read_json, sha256_file, write_json
from difflab.core.base.roles import ruler
from difflab.core.environment import LIBRARIES, installed, processor
from difflab.core.params.base import dotted

if TYPE_CHECKING:
    from difflab.core.params.base import Group

SEED = 0  # of a ruler's training, whatever the study's: two seeds of the study are measured by one ruler
COMMITTED, ZOO, FACTS = Path("rulers"), Path("models/zoo"), "ruler.json"
_CHANGE_NOTHING = ("hub", "weights", "training.log_interval", "training.checkpoint_interval")


def describe(folder: Path, address: str, settings: "Group", pictures: str, accuracy: Mapping[str, float]) -> None:
    """Write ruler.json beside newly trained weights: how they were made, where, and how good they are.

    Args:
        address: of the stage that trained them, as DVC writes it.
        settings: the stage's parameters of the network and its training.
        pictures: sha256 of the pictures that it was trained on.
        accuracy: measured on pictures that it was not trained on.
    """
    facts = {
        "ruler": ruler(folder),
        "command": f"dvc exp run -S zoo.rulers=retrain {address}",
        "settings": _described(settings),
        "pictures": pictures,
        "accuracy": dict(accuracy),
        "weights": {file.name: sha256_file(file) for file in sorted(folder.glob("*.safetensors"))},
        "processor": processor(),
        "libraries": {name: installed(name) for name in LIBRARIES},
    }
    write_json(folder / FACTS, facts)


def take(folder: Path, settings: "Group", pictures: str) -> None:
    """Copy the committed ruler of the role `folder` (under models/zoo) there.

    Args:
        settings, pictures: see `describe`.

    Raises:
        DifflabError: there is none, its weights are not those that ruler.json describes, or it was trained with other
            settings or on other pictures than these.
    """
    source = COMMITTED / folder.relative_to(ZOO)
    retrain = "-S zoo.rulers=retrain trains one for this study"
    if not (source / FACTS).is_file():
        raise DifflabError(f"{source} holds no ruler: `git checkout {source}` brings it back, or {retrain}")
    with reading(source / FACTS, f"`git checkout {source}` brings it back"):
        made = {name: read_json(source / FACTS)[name] for name in ("ruler", "pictures")}
    if ruler(source) != made["ruler"]:
        raise DifflabError(f"{source} holds other weights than its {FACTS} says: `git checkout {source}` mends it")
    if difference := differing(folder, settings):
        raise DifflabError(f"{source} was trained with {difference}: {retrain}")
    if made["pictures"] != pictures:
        raise DifflabError(
            f"{source} was trained on other pictures than those of this study's training split: {retrain}"
        )
    with atomic_path(folder) as temporary:
        shutil.copytree(source, temporary)


def differing(folder: Path, settings: "Group") -> str:
    """What of the settings the committed ruler of a role was not trained with, as "name=had, not asked"; or ""."""
    facts = COMMITTED / folder.relative_to(ZOO) / FACTS
    if not facts.is_file():  # the stage says how to bring it back
        return ""
    with reading(facts, f"`git checkout {facts}` brings it back"):
        asked, had = _described(settings), dict(read_json(facts)["settings"])
    names = [name for name in sorted(asked.keys() | had.keys()) if asked.get(name) != had.get(name)]
    return f"{names[0]}={had.get(names[0])}, not {asked.get(names[0])}" if names else ""


def _described(settings: "Group") -> dict[str, Any]:
    """The settings that can change the weights, by dotted name."""
    values = dotted(settings.model_dump(mode="json"))
    return {
        name: value for name, value in values.items() if name.partition(".")[0] != "hub" and name not in _CHANGE_NOTHING
    }
