"""BLIP-2 captions of images, without a prompt; the same code for the miniature and the released models."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from difflab.core.base.errors import DifflabError
from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.templates import digit_of, photo_of
from difflab.models.language.keyed_sampling import generation_arguments
from difflab.models.params import GenerationParams
from difflab.sd3.captions.scoring import named_digit, named_photo

if TYPE_CHECKING:
    from PIL import Image
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

VARIANT = "blip2"


class Blip2Captioner:
    """A BLIP-2 and its processor on one device.

    Attributes:
        model: `Blip2ForConditionalGeneration` with an OPT or a T5.
        processor: its `Blip2Processor`.
    """

    def __init__(self, model: "Blip2ForConditionalGeneration", processor: "Blip2Processor") -> None:
        self.model, self.processor = model.eval(), processor
        self._complete_config()

    @torch.inference_mode()
    def __call__(
        self, images: "Sequence[Image.Image]", ids: Sequence[str], settings: GenerationParams, seed: int
    ) -> list[str]:
        """One caption per image: one line, white space collapsed.

        Args:
            images: RGB images of any sizes; the processor resizes them as the model wants.
            ids: their sample ids, which key the sampling where `settings.do_sample`.
        """
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        pixels = pixels.to(self.model.device, self.model.dtype)
        tokens = self.model.generate(pixel_values=pixels, **generation_arguments(ids, seed, settings))
        if self.model.config.use_decoder_only_language_model:  # OPT gives the prompt back, T5 does not
            tokens = tokens[:, self.model.config.num_query_tokens + 1 :]
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    def _complete_config(self) -> None:
        """Fill in what older repositories leave out and captioning without a prompt needs.

        A T5 without bos_token_id starts with </s>, as in the released BLIP-2 configurations.
        """
        config, tokenizer = self.model.config, self.processor.tokenizer
        if config.text_config.bos_token_id is None:
            config.text_config.bos_token_id = config.text_config.eos_token_id
        if config.image_token_index is None:
            config.image_token_index = tokenizer.convert_tokens_to_ids("<image>")
            if config.image_token_index >= self.model.get_input_embeddings().num_embeddings:
                self.model.resize_token_embeddings(len(tokenizer))


def load(folder: str | Path, device: torch.device, dtype: torch.dtype) -> Blip2Captioner:
    """Read a captioner from a `save_pretrained` folder (`difflab.models.roles.resolve`).

    In float16 the Q-Former stays in float32, as transformers asks for.

    Raises:
        DifflabError: the folder holds no BLIP-2.
    """
    from transformers import AutoProcessor, Blip2ForConditionalGeneration

    if not (Path(folder) / "config.json").exists():
        raise DifflabError(f"{folder} holds no BLIP-2: run `dvc repro zoo_blip2` (or `dvc pull`) to make it")
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=dtype, local_files_only=True)
    return Blip2Captioner(model.to(device), processor)


def captions_frame(ids: Sequence[str], captions: Sequence[str], sources: Sequence[str]) -> pd.DataFrame:
    """Rows of the captions table; `sources` are the sha256 of the images."""
    columns = {"id": list(ids), "variant": VARIANT, "caption": list(captions), "source_sha256": list(sources)}
    return pd.DataFrame(columns)


def text_metrics(captions: Collection[str], long_caption: int) -> dict[str, float | int]:
    """Counts that need no truth: all, distinct, empty and long captions (in characters), and mean words."""
    words = [len(caption.split()) for caption in captions]
    return {
        "n": len(captions),
        "n_unique": len(set(captions)),
        "n_empty": words.count(0),
        "n_long": sum(len(caption) > long_caption for caption in captions),
        "mean_words": sum(words) / max(1, len(words)),
    }


def named_correctly(captions: Mapping[str, str], attributes: pd.DataFrame) -> dict[str, float]:
    """In the miniature, the shares of captions that name the digit and the photograph of their image.

    Args:
        captions: caption by sample id.
        attributes: bool table by id, with Digit_0 .. Digit_9 and Photo_<name>, a row for each caption.
    """
    if not captions:
        raise DifflabError("there is no caption to score: check the split and the data")
    digits = photos = 0
    for id, row in zip(captions, attributes.loc[list(captions)].to_dict("records"), strict=True):
        digits += named_digit(captions[id]) == digit_of(row)
        photos += named_photo(captions[id], PHOTO_NAMES) == photo_of(row)
    return {"digit_accuracy": digits / len(captions), "photo_accuracy": photos / len(captions)}


def metrics(
    captions: Mapping[str, str],
    attributes: pd.DataFrame,
    splits: Mapping[str, Collection[str]],
    long_caption: int,
) -> dict[str, float | int]:
    """Everything that metrics/caption_blip2.json holds.

    Args:
        captions: caption by sample id.
        attributes: bool table by id.
        splits: name -> ids; in the miniature (the table has Digit_0) each non-empty one is scored.
    """
    result = text_metrics(captions.values(), long_caption)
    if "Digit_0" not in attributes.columns:
        return result
    for split, ids in splits.items():
        if ids:
            scores = named_correctly({id: captions[id] for id in ids}, attributes)
            result |= {f"n_{split}": len(ids)} | {f"{name}_{split}": value for name, value in scores.items()}
    return result
