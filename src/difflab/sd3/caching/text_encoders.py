"""The three text encoders of an SD3 base, used as its pipeline uses them, kept apart per encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.sd3.caches.prompt_embeds import Encoded

CLIP = ("text_encoder", "text_encoder_2")
T5 = "text_encoder_3"


class TextEncoders:
    """The encoders and tokenizers of one folder, loaded.

    Args:
        folder: text_encoder, tokenizer, text_encoder_2, tokenizer_2, text_encoder_3, tokenizer_3, each
            as `save_pretrained` wrote it (`models.roles.resolve(models/zoo/text)`).
        max_sequence_length: tokens of the T5 encoder; CLIP's are its tokenizer's `model_max_length`.
        device: where the encoders run.
        dtype: precision in which they run.

    Raises:
        DifflabError: a part is missing, or the folder is not of the SD3 layout.
    """

    def __init__(
        self, folder: str | Path, max_sequence_length: int, device: torch.device | str, dtype: torch.dtype
    ) -> None:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection, T5EncoderModel

        folder = Path(folder)
        _check_layout(folder)
        classes = {**dict.fromkeys(CLIP, CLIPTextModelWithProjection), T5: T5EncoderModel}
        self.tokenizers = {name: AutoTokenizer.from_pretrained(_tokenizer(folder, name)) for name in classes}
        self.encoders = {
            name: cls.from_pretrained(folder / name, dtype=dtype, use_safetensors=True).to(device).eval()
            for name, cls in classes.items()
        }
        clip_length = min(self.tokenizers[name].model_max_length for name in CLIP)
        self.lengths = {**dict.fromkeys(CLIP, clip_length), T5: max_sequence_length}
        self.device = torch.device(device)

    @torch.no_grad()
    def encode(self, captions: Sequence[str], batch_size: int) -> "Encoded":
        """Embed captions; each is padded or truncated to the encoder's length, so rows do not depend on others.

        Returns:
            `Encoded` on the CPU, in the encoders' precision. CLIP: the last hidden state but one, and the
            projected vector at the end token. T5: the last hidden state, without mask, as in the pipeline.
        """
        batches = [self._encode(list(captions[i : i + batch_size])) for i in range(0, len(captions), batch_size)]
        return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}

    def truncated(self, captions: Sequence[str]) -> dict[str, Tensor]:
        """Per encoder, bool [n]: which captions have more tokens than it takes."""
        return {
            name: torch.tensor([len(ids) > self.lengths[name] for ids in tokenizer(list(captions))["input_ids"]])
            for name, tokenizer in self.tokenizers.items()
        }

    def _encode(self, captions: list[str]) -> "Encoded":
        clip_l, pooled_l = self._clip(CLIP[0], captions)
        clip_g, pooled_g = self._clip(CLIP[1], captions)
        t5 = self.encoders[T5](self._tokens(T5, captions))[0]
        encoded = {"clip_l": clip_l, "clip_g": clip_g, "t5": t5, "pooled": torch.cat([pooled_l, pooled_g], dim=-1)}
        return {name: tensor.cpu() for name, tensor in encoded.items()}

    def _clip(self, name: str, captions: list[str]) -> tuple[Tensor, Tensor]:
        output = self.encoders[name](self._tokens(name, captions), output_hidden_states=True)
        return output.hidden_states[-2], output.text_embeds

    def _tokens(self, name: str, captions: list[str]) -> Tensor:
        tokens = self.tokenizers[name](
            captions, padding="max_length", max_length=self.lengths[name], truncation=True, return_tensors="pt"
        )
        return tokens["input_ids"].to(self.device)


def _check_layout(folder: Path) -> None:
    for name in (*CLIP, T5):
        for part in (folder / name / "config.json", _tokenizer(folder, name) / "tokenizer_config.json"):
            if not part.exists():
                raise DifflabError(f"{part} is missing: {folder} must hold the three text encoders of an SD3 base")


def _tokenizer(folder: Path, encoder: str) -> Path:
    return folder / encoder.replace("text_encoder", "tokenizer")
