"""CLIP score: how near a picture is to its text, by a released CLIP (Hessel et al. 2021, "CLIPScore")."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.core.base.runtime import resolve_device
from difflab.metrics.features.features import as_array
from difflab.models.language.prompt_tokens import literal
from difflab.models.vision.preprocessing import Preprocessor


class ClipScorer:
    """A `CLIPModel` with its processor, from a resolved folder.

    Raises:
        DifflabError: the folder holds no preprocessor configuration that fits the model.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        from transformers import CLIPModel, CLIPProcessor

        self.device = resolve_device(device)
        self.model = pretrained_model(CLIPModel, folder, local_files_only=True).to(self.device).eval()
        self.preprocess = Preprocessor(folder, self.model.config.vision_config.image_size, trained_here=False)
        self.processor = pretrained(CLIPProcessor, folder, local_files_only=True)
        literal(self.processor.tokenizer)

    @torch.no_grad()
    def __call__(self, images: Iterable, texts: Sequence[str]) -> float:
        """100 max(cos, 0) of the embeddings, mean over pairs; without the paper's factor 2.5, as it is usually quoted.

        Texts are cut at the length of the encoder.
        """
        words = self.processor.tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True).to(
            self.device
        )
        pixels = self.preprocess([as_array(i) for i in images]).to(self.device)
        seen = self.model(pixel_values=pixels, **words)
        cosines = torch.nn.functional.cosine_similarity(seen.image_embeds, seen.text_embeds)
        return float(np.mean(100 * cosines.clamp_min(0).double().cpu().numpy()))
