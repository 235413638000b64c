"""What a visitor asks for, and the parameters of the job that does it: those of this repository, for one subject."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.app.personalise.sessions import SUBJECT
from difflab.app.personalise.uploads import check_count
from difflab.cli.compose import validate
from difflab.core.base.errors import DifflabError
from difflab.personal.cells import METHODS, PRIORS
from difflab.personal.words import Words, instance_text

if TYPE_CHECKING:
    from difflab.personal.params import Method, PersonalParams, Prior

LEFT_OUT = 1  # pictures that are not trained on, to tell what is learnt from what is memorised
MAX_STEPS = 5000
_LENGTHS = {"token": 20, "class_word": 40, "instance_prompt": 300}


@dataclass(frozen=True)
class Wish:
    """A subject of a few pictures, and how it is taught.

    Attributes:
        token: the rare word that names the subject.
        class_word: what it is; empty where nothing is kept of its class.
        instance_prompt: of pictures without a caption, with {token} and {class} or the words themselves.
    """

    token: str
    class_word: str
    instance_prompt: str
    method: "Method"
    prior: "Prior"
    steps: int
    seed: int = 0

    @property
    def words(self) -> Words:
        return Words(self.token, self.class_word or None)


def methods_of(personal: "PersonalParams") -> dict[str, str]:
    """The methods that the base takes, and their names: Stable Diffusion 3 has no one text encoder to tune."""
    flow = personal.base.scheduler == "flow-match"
    return {method: name for method, name in METHODS.items() if not flow or method in ("lora", "full")}


def check(wish: Wish, captions: list[str]) -> None:
    """Refuse, as a DifflabError, what cannot be trained.

    Args:
        captions: of each picture, empty where it has none.
    """
    check_count(len(captions))
    for name, longest in _LENGTHS.items():
        if len(text := getattr(wish, name)) > longest:
            raise DifflabError(f"the {name.replace('_', ' ')} has {len(text)} characters: at most {longest} are taken")
    if len(wish.token.split()) != 1:
        raise DifflabError("the name in prompts is one rare word, as sks")
    if wish.method not in METHODS or wish.prior not in PRIORS:
        raise DifflabError(f"unknown method or prior: {wish.method}, {wish.prior}")
    needed = {"textual_inversion": "textual inversion starts from it"}.get(wish.method) or (
        "it is what the prior keeps" if wish.prior != "none" else ""
    )
    if needed and not wish.class_word.strip():
        raise DifflabError(f"the class word is missing: {needed}; say what the subject is, as dog, or take no prior")
    prompt = wish.instance_prompt.replace("{token}", wish.token)
    if wish.token not in prompt.split():
        raise DifflabError(f"the instance prompt '{wish.instance_prompt}' lacks the subject's name: write {{token}}")
    if not 1 <= wish.steps <= MAX_STEPS:
        raise DifflabError(f"{wish.steps} steps: take 1 to {MAX_STEPS}")
    for number, caption in enumerate(captions, 1):
        if caption.strip():
            instance_text(caption, wish.words, f"picture {number}")


def job_values(wish: Wish, pictures: int, folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The values of the job's params.yaml.

    Args:
        pictures: how many there are.
        folder: the session's.
        values: those of this repository.

    Raises:
        DifflabError: a value cannot be.
    """
    import yaml

    personal, steps = values["personal"], wish.steps
    training = personal["training"] | {
        "steps": steps,
        "warmup_steps": min(personal["training"]["warmup_steps"], steps // 4),
        "log_interval": max(1, steps // 100),
        "checkpoint_interval": max(1, steps // 5),
    }
    prior = "none" if wish.method == "textual_inversion" else wish.prior
    own = {
        "subjects": [{"name": SUBJECT, "class_word": wish.class_word.strip() or None}],
        "token": wish.token,
        "instance_prompt": wish.instance_prompt,
        "masks": False,
        "pictures": [pictures - LEFT_OUT],
        "leave_out": LEFT_OUT,
        "seeds": [wish.seed],
        "methods": [wish.method],
        "priors": [prior],
        "curve_method": wish.method,
        "curve_steps": [],
        "training": training,
    }
    subjects = values["data"]["subjects"] | {"source": "data_root", "path": "pictures"}
    changed = values | {
        "personal": personal | own,
        "data": values["data"] | {"data_root": str(folder.resolve()), "subjects": subjects},
        "tracking": values["tracking"] | {"enabled": False},  # a server of MLflow may be shared
    }
    validate(yaml.safe_dump(changed), "the job")
    return changed
