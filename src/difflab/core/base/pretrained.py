"""What `from_pretrained` of transformers and diffusers reads of a folder: whole, or refused in one line."""

from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import refuse_stand_in

REMEDY = "`dvc checkout` restores what was trained here; what the Hub gave is fetched again once it is deleted"


def pretrained(kind: Any, folder: str | Path, **options: Any) -> Any:
    """A tokenizer, processor, scheduler or pipeline of the class `kind`, with the options of its `from_pretrained`.

    Code that lies beside the weights is never run, and nobody is asked for it.

    Raises:
        Unreadable: one of its files is damaged.
    """
    if kind.__module__.startswith("transformers.models.auto"):  # the only ones that would run it
        options = {"trust_remote_code": False, **options}
    with reading(folder, REMEDY):
        for file in sorted(Path(folder).rglob("*.safetensors")):
            refuse_stand_in(file)
        return kind.from_pretrained(folder, **options)


def pretrained_model(kind: Any, folder: str | Path, **options: Any) -> Any:
    """A model of the class `kind`, every weight of which comes from its files.

    Both libraries start a weight that no file holds at random, and go on with a warning.

    Raises:
        Unreadable: one of its files is damaged.
        DifflabError: its files lack a weight.
    """
    model, info = pretrained(kind, folder, output_loading_info=True, **options)
    if missing := sorted(info["missing_keys"]):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DifflabError(f"{folder} lacks the weights {missing[0]}{more}, which would be random: {REMEDY}")
    return model
