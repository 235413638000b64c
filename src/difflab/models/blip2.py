"""BLIP-2 captions of images, without a prompt; the same code for the miniature and the released models."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.image_processors import check_image_processor
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.models.language.keyed_sampling import generate, generation_arguments

if TYPE_CHECKING:
    from PIL import Image
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    from difflab.models.params import GenerationParams


class Blip2Captioner:
    """A BLIP-2 with an OPT or a T5, and its processor, on one device."""

    def __init__(self, model: "Blip2ForConditionalGeneration", processor: "Blip2Processor") -> None:
        self.model, self.processor = model.eval(), processor
        config, tokenizer = model.config, processor.tokenizer
        # What older repositories leave out: a T5 starts with </s>, as in the released configurations.
        if config.text_config.bos_token_id is None:
            config.text_config.bos_token_id = config.text_config.eos_token_id
        if config.image_token_index is None:
            config.image_token_index = tokenizer.convert_tokens_to_ids("<image>")
            if config.image_token_index >= model.get_input_embeddings().num_embeddings:
                model.resize_token_embeddings(len(tokenizer))

    @torch.inference_mode()
    def __call__(
        self, images: "Sequence[Image.Image]", ids: Sequence[str], settings: "GenerationParams", seed: int
    ) -> list[str]:
        """One caption per image: one line, white space collapsed.

        The RGB images may have any sizes; the ids key the sampling where `settings.do_sample`.
        """
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        pixels = pixels.to(self.model.device, self.model.dtype)
        tokens = generate(self.model, pixel_values=pixels, **generation_arguments(ids, seed, settings))
        if self.model.config.use_decoder_only_language_model:  # OPT gives the prompt back, T5 does not
            tokens = tokens[:, self.model.config.num_query_tokens + 1 :]
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]


def load(folder: str | Path, device: torch.device, dtype: torch.dtype) -> Blip2Captioner:
    """Read a captioner from a `save_pretrained` folder (`difflab.core.base.roles.resolve`).

    In float16 the Q-Former stays in float32, as transformers asks for.

    Raises:
        DifflabError: the folder holds none, or a preprocessor that does not fit it.
    """
    from transformers import AutoProcessor, Blip2ForConditionalGeneration

    if not (Path(folder) / "config.json").exists():
        raise DifflabError(f"{folder} holds no BLIP-2: run `dvc repro zoo_blip2` (or `dvc pull`) to make it")
    processor = pretrained(AutoProcessor, folder, local_files_only=True)
    check_image_processor(processor.image_processor, folder)
    model = pretrained_model(Blip2ForConditionalGeneration, folder, dtype=dtype, local_files_only=True)
    size = model.config.vision_config.image_size
    with reading(folder, "correct its preprocessor configuration"):
        blank = np.zeros((size, size + 1, 3), np.uint8)
        given = tuple(processor.image_processor(blank, return_tensors="pt")["pixel_values"].shape[2:])
    if given != (size, size):
        raise DifflabError(
            f"{folder}: its preprocessor makes pictures {given}, the network takes ({size}, {size}): correct its size"
        )
    return Blip2Captioner(model.to(device), processor)
