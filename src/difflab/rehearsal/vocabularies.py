"""Tokenizers for the stand-ins: those of the released models where the cache of this machine has them, else small ones.

A small one is of the same class and reads any text.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.pretrained import pretrained
from difflab.miniature.zoo import small_gemma, small_llava, tokenizers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILES = ("tokenizer*", "vocab.*", "merges.txt", "spiece.model", "special_tokens_map.json", "chat_template*",
    "added_tokens.json", "processor_config.json")  # fmt: skip
_CLIP_LENGTH, _T5_LENGTH = 77, 512


def small(kind: str) -> "PreTrainedTokenizerBase":
    """A tokenizer of one of the kinds in published.yaml, made of the miniature's words."""
    if kind == "clip":
        return tokenizers.clip_tokenizer(_CLIP_LENGTH)
    if kind == "t5":
        return tokenizers.t5_tokenizer(_T5_LENGTH)
    if kind == "llama":
        return tokenizers.llama_tokenizer()
    if kind == "llama_base":
        return tokenizers.base_tokenizer(tokenizers.corpus())
    if kind == "gemma":
        return small_gemma.gemma_tokenizer(max_length=2048)
    raise ValueError(f"no tokenizer of the kind {kind}")


def copy_released(snapshot: Path | None, folder: str, target: Path) -> "PreTrainedTokenizerBase | None":
    """Copy the files of a released tokenizer, and read it; None where `snapshot` does not have all that it needs.

    Args:
        snapshot: the repository in the Hugging Face cache, complete or not.
        folder: the tokenizer's in the repository.
        target: the same folder of the stand-in.
    """
    from transformers import AutoTokenizer

    if snapshot is None or not (snapshot / folder / "tokenizer_config.json").is_file():
        return None
    files = [file for pattern in FILES for file in (snapshot / folder).glob(pattern) if file.is_file()]
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, target / file.name)
    try:
        return pretrained(AutoTokenizer, target, local_files_only=True)
    except Exception:  # a part of it is not in the cache
        for file in files:
            (target / file.name).unlink()
        return None


def llava_processor(side: int, patch: int):
    """A LLaVA's processor for square pictures of `side` pixels in patches of `patch`."""
    from transformers import CLIPVisionConfig

    from difflab.models.vision.preprocessing import Preprocessor

    eyes = Preprocessor("", side)
    return small_llava.build_processor(CLIPVisionConfig(image_size=side, patch_size=patch), eyes, tokenizers.corpus())
