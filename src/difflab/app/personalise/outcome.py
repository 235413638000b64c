"""What a job made: the model in its own format, what was measured, and pictures of it beside the base's."""

import copy
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflab.app.personalise.process import WORKSPACE
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.base.pretrained import pretrained_model
from difflab.models.adapters.fit import check_fit, layers_of, put_on, take_off
from difflab.models.adapters.reading import read_adapter
from difflab.models.pipelines.prompted import Options, PromptedSampler
from difflab.personal.methods import EMBEDDING_FILE, LORA_FILE
from difflab.personal.words import learned_text

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.app.personalise.wish import Wish

NETWORK = "network/diffusion_pytorch_model.safetensors"
_FILES = {"lora": LORA_FILE, "lora_text": LORA_FILE, "full": NETWORK, "textual_inversion": EMBEDDING_FILE}


@dataclass(frozen=True)
class Outcome:
    """A trained model.

    Attributes:
        folder: of models/personal.
        measures: by name, of the model and of the base, as metrics/personal.json has them.
    """

    wish: "Wish"
    folder: Path
    measures: dict[str, tuple[float, float]]

    @property
    def file(self) -> Path:
        """The one file that was trained, which a visitor may download."""
        return self.folder / _FILES[self.wish.method]

    @property
    def is_lora(self) -> bool:
        return self.wish.method in ("lora", "lora_text")

    @property
    def file_name(self) -> str:
        """A name for it elsewhere."""
        plain = "".join(c if c.isalnum() else "-" for c in f"{self.wish.token}-{self.wish.class_word}").strip("-")
        return f"{plain or 'subject'}-{self.wish.method.replace('_', '-')}.safetensors"


MEASURES = {
    "subject_accuracy": "shows the subject",
    "prompt_accuracy": "follows the rest of the prompt",
    "similarity": "likeness to the pictures (cosine)",
    "class_correct": "class word still shows no subject",
    "drift_kid": "drift of the class word (KID)",
    "memorisation": "nearer to trained than to left-out pictures",
}
SHARES = ("subject_accuracy", "prompt_accuracy", "class_correct")


def read_outcome(job: Path, wish: "Wish") -> Outcome:
    """What a job that is done has left.

    Raises:
        DifflabError: it is not there.
    """
    workspace = job / WORKSPACE
    prior = "none" if wish.method == "textual_inversion" else wish.prior
    folders = sorted((workspace / "models/personal").glob(f"{wish.method}_{prior}-*"))
    if not folders:
        raise DifflabError("the job has left no model: train again")
    found: dict[str, Any] = read_json(workspace / "metrics/personal.json")
    named = {name: (f"{wish.method}_{prior}_{name}", f"base_{name}") for name in MEASURES}
    measures = {
        name: (found[own], found[base]) for name, (own, base) in named.items() if own in found and base in found
    }
    return Outcome(wish, folders[0], measures)


def sample(
    pipeline: "DiffusionPipeline", options: Options, outcome: Outcome, prompt: str, count: int, seed: int
) -> dict[str, Sequence[np.ndarray]]:
    """Pictures uint8 [S, S, 3] of a prompt by the base and by the trained model, number by number from the same noise.

    The pipeline is left as it was.

    Raises:
        DifflabError: the prompt is empty or longer than what the model reads.
    """
    if not prompt.strip():
        raise DifflabError("the prompt is empty: describe the picture")
    sampler = PromptedSampler(pipeline, distilled=False, seed=seed, batch_size=count)
    if lost := sampler.truncation(prompt):
        raise DifflabError(f"the prompt has {lost}: shorten it")
    ids = [f"prompt-{number:05d}" for number in range(count)]  # the first is that of `difflab generate`

    def made(text: str) -> list[np.ndarray]:
        return [picture for batch in sampler.images(ids, [text] * count, options) for picture in batch]

    pictures: dict[str, Sequence[np.ndarray]] = {"base": made(prompt)}
    with personalised(pipeline, outcome):
        inverted = outcome.wish.method == "textual_inversion"
        pictures["personalised"] = made(learned_text(prompt, outcome.wish.words) if inverted else prompt)
    return pictures


@contextmanager
def personalised(pipeline: "DiffusionPipeline", outcome: Outcome) -> Generator[None]:
    """Put what was trained into its base for a while."""
    before = {name: getattr(pipeline, name) for name in ("unet", "transformer", "text_encoder", "tokenizer")
              if getattr(pipeline, name, None) is not None}  # fmt: skip
    try:
        _put(pipeline, outcome, before)
        yield
    finally:
        take_off(pipeline)
        for name, component in before.items():
            setattr(pipeline, name, component)


def _put(pipeline: "DiffusionPipeline", outcome: Outcome, parts: dict[str, Any]) -> None:
    method, folder = outcome.wish.method, outcome.folder
    if method == "full":
        name = "unet" if "unet" in parts else "transformer"
        network = pretrained_model(type(parts[name]), folder / "network", dtype=parts[name].dtype)
        setattr(pipeline, name, network.to(parts[name].device).eval())
    elif method == "textual_inversion":
        pipeline.tokenizer, pipeline.text_encoder = copy.deepcopy((parts["tokenizer"], parts["text_encoder"]))
        pipeline.load_textual_inversion(str(folder / EMBEDDING_FILE))
    else:
        layers = layers_of(pipeline)
        updates = read_adapter(folder / LORA_FILE).updates(layers)
        check_fit(updates, layers, str(outcome.file.name))
        put_on(pipeline, updates)
