"""The embedding of a new token, which textual inversion learns (Gal et al. 2023): one vector or several.

learned_embeds.safetensors    {"<sks>": [d] or [n, d]}      `load_textual_inversion` of diffusers
sks.safetensors               {"emb_params": [n, d]}        ComfyUI, AUTOMATIC1111's web UI; the file names the token
"""

import copy
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.models.adapters.updates import OWN, check_fractions

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from torch import Tensor

FILE_NAME = "learned_embeds.safetensors"
TOKEN = f"{OWN}token"  # in the header of a file that does not name it
_PLAIN = (
    "emb_params",
    "clip_l",
)  # names that are no token: of the web UI, of ComfyUI for the first encoder of SD3 and SDXL
_TWO_ENCODERS = {"clip_l", "clip_g"}


@dataclass(frozen=True)
class Embedding:
    """What a token means to the text encoder.

    Attributes:
        token: as it stands in prompts, "<sks>".
        vectors: [n, d]; a prompt's token becomes n of them.
        facts: what difflab wrote of it, as "base", the fingerprint of its base.
    """

    path: Path
    token: str
    vectors: "Tensor"
    facts: dict[str, Any] = field(default_factory=dict)
    denoiser = "unet"  # of whose pipeline the text encoder is

    def check_fit(self, pipeline: "DiffusionPipeline") -> None:
        """Refuse, as a DifflabError, a base with several text encoders, tokens of another width, or this very token."""
        if getattr(pipeline, "text_encoder_2", None) is not None:
            raise DifflabError(
                f"{self.path} is a token for one text encoder, and the base has several: name its with --base"
            )
        width = pipeline.text_encoder.get_input_embeddings().weight.shape[1]
        if self.vectors.shape[1] != width:
            raise DifflabError(
                f"{self.path} has {self.vectors.shape[1]} numbers for a token, and the base {width}: it was trained on "
                "another base: name it with --base"
            )
        if self.token in pipeline.tokenizer.get_vocab():
            raise DifflabError(f"{self.path}: the base knows '{self.token}' already: give the file another name")

    @contextmanager
    def on(self, pipeline: "DiffusionPipeline") -> Generator[None]:
        """The pipeline with the token, by diffusers' own loader; afterwards as before."""
        before = pipeline.tokenizer, pipeline.text_encoder
        self.put_on(pipeline)
        try:
            yield
        finally:
            pipeline.tokenizer, pipeline.text_encoder = before

    def put_on(self, pipeline: "DiffusionPipeline") -> None:
        pipeline.tokenizer, pipeline.text_encoder = (
            copy.deepcopy(p) for p in (pipeline.tokenizer, pipeline.text_encoder)
        )
        pipeline.load_textual_inversion({self.token: self.vectors})

    def told(self) -> str:
        count = len(self.vectors)
        return f"the token {self.token} of {count} vector{'s' * (count != 1)}"


def is_embedding(tensors: "Mapping[str, Tensor]") -> bool:
    """Whether a file's tensors are those of a token: one alone, a vector or a few, or one for each of two encoders."""
    small = all(tensor.ndim in (1, 2) and tensor.numel() for tensor in tensors.values())
    return bool(tensors) and small and (len(tensors) == 1 or tensors.keys() == _TWO_ENCODERS)


def read(tensors: "Mapping[str, Tensor]", header: Mapping[str, str], path: Path) -> Embedding:
    """The token of a file; where no name stands in it, that of the file.

    Raises:
        DifflabError: it is for two text encoders (SDXL), quantised, or not finite.
    """
    if tensors.keys() == _TWO_ENCODERS:
        raise DifflabError(f"{path} is a token for the two text encoders of SDXL: those for one can be read")
    ((name, vectors),) = tensors.items()
    check_fractions(name, vectors, str(path))
    if not vectors.float().isfinite().all():
        raise DifflabError(f"{path}: '{name}' holds NaN or infinity: the training that wrote it had diverged")
    token = header.get(TOKEN) or (f"<{path.stem}>" if name in _PLAIN else name)
    facts = {key.removeprefix(OWN): value for key, value in header.items() if key.startswith(OWN) and key != TOKEN}
    return Embedding(path, token, vectors.reshape(-1, vectors.shape[-1]), facts)


def write(format: str, embedding: Embedding) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """Tensors and header in a format of `writing.FORMATS`.

    Raises:
        DifflabError: PEFT has no file for it.
    """
    facts = {f"{OWN}{name}": value for name, value in embedding.facts.items() if isinstance(value, str)}
    if format == "diffusers":
        return {embedding.token: embedding.vectors}, facts
    if format == "peft":
        raise DifflabError(f"{embedding.path} is the embedding of a token, which PEFT has no file for: take diffusers")
    return {"emb_params": embedding.vectors}, facts | {TOKEN: embedding.token}
