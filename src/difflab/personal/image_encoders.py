"""Subject fidelity as DreamBooth measures it: the mean cosine to the subject's pictures by DINO, and by CLIP.

Ruiz et al. 2023, section 4.1: DINO's class token, CLIP's image embedding. Prompt fidelity by CLIP: `metrics.clip_score`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.core.base.errors import DifflabError
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.core.base.runtime import full_float32, resolve_device
from difflab.core.base.store.tensors import check_finite
from difflab.models.vision.preprocessing import Preprocessor

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 32


class ImageEncoder:
    """A released ViT (DINO) or CLIP from its resolved folder, in float32.

    Raises:
        DifflabError: the folder holds another model, or no preprocessor configuration that fits it.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        from transformers import AutoConfig, CLIPVisionModelWithProjection, ViTModel

        kind = pretrained(AutoConfig, folder, local_files_only=True).model_type
        classes = {
            "vit": ViTModel,
            "clip": CLIPVisionModelWithProjection,
            "clip_vision_model": CLIPVisionModelWithProjection,
        }
        if kind not in classes:
            raise DifflabError(f"{folder} is a {kind}: personal.encoders takes a ViT (DINO) or a CLIP")
        self.device = resolve_device(device)
        options = {"add_pooling_layer": False} if kind == "vit" else {}  # DINO was released without one
        self.model = pretrained_model(classes[kind], folder, local_files_only=True, **options).to(self.device).eval()
        self.preprocess = Preprocessor(folder, self.model.config.image_size, trained_here=False)

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features float32 [n, d], finite, of pictures uint8 [n, H, W, 3]."""
        parts = []
        for start in range(0, len(images), _BATCH):
            pixels = self.preprocess(images[start : start + _BATCH])
            with full_float32():
                seen = self._embedded(self.model(pixel_values=pixels.to(self.device)))
            check_finite(seen, (), f"of the pictures from {start} on, what the encoder sees in", "look at its weights")
            parts.append(seen.cpu().numpy())
        return np.concatenate(parts)

    def _embedded(self, output) -> "Tensor":
        embeds = getattr(output, "image_embeds", None)
        return (output.last_hidden_state[:, 0] if embeds is None else embeds).float()
