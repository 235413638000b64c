"""The captioner: a ViT's tokens, projected, are the prefix of the caption that its decoder, a Llama, writes.

As in LLaVA (Liu et al. 2023) and the captioner of reference 000: the ViT is frozen; a two-layer projector and a
LoRA adapter of the decoder (Hu et al. 2021) are trained. The decoder reads

    <begin of text> v_1 ... v_n caption <end of text>

and the loss is taken on the caption and its end.
"""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import check_finite
from difflab.models.language.keyed_sampling import generate
from difflab.models.lora import add_lora, check_rank, check_target, linear_layers
from difflab.models.vision.preprocessing import Preprocessor

if TYPE_CHECKING:
    from PIL import Image
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, ViTModel

    from difflab.captioning.params import CaptionerLoraParams, CaptionerSettings, DecodingParams

ENCODED_TOGETHER = 64  # images


class Captioner(nn.Module):
    """A frozen ViT, a projector from its width to the language model's, and that with a LoRA adapter.

    Projector and adapter are float32; before training the adapter has no effect.
    """

    def __init__(
        self,
        encoder: "ViTModel",
        language_model: "LlamaForCausalLM",
        tokenizer: "PreTrainedTokenizerBase",
        settings: "CaptionerSettings",
        seed: int,
        preprocess: Preprocessor | None = None,
    ) -> None:
        """Adapt `language_model` in place: give it to one captioner only.

        Raises:
            DifflabError: a LoRA target names no layer of the language model, or the patches cannot be pooled so.
        """
        super().__init__()
        self.encoder, self.language_model = encoder.requires_grad_(False), language_model
        self.preprocess = preprocess or Preprocessor("", encoder.config.image_size)
        self.tokenizer, self._patch_pooling = tokenizer, settings.patch_pooling
        grid = encoder.config.image_size // encoder.config.patch_size
        if grid % self._patch_pooling:
            pooling = f"captioner.patch_pooling is {self._patch_pooling}"
            raise DifflabError(f"{pooling}: the {grid} x {grid} patches of the encoder do not divide into such squares")
        self.pad_token_id = tokenizer.eos_token_id  # Llama has none; any will do, since the attention mask hides it
        language_model.generation_config.eos_token_id = tokenizer.eos_token_id
        language_model.generation_config.pad_token_id = self.pad_token_id
        torch.manual_seed(rng.key(seed, "init", "captioner"))
        layers = {name.rpartition(".")[2] for name in linear_layers(language_model)}
        check_rank(settings.lora.rank, language_model.config.hidden_size)
        for target in settings.lora.targets:
            check_target(target, [target], layers, "captioner.lora.targets")
        add_lora(language_model, lora_config(settings.lora))
        width = language_model.config.hidden_size
        self.projector = nn.Sequential(
            nn.Dropout(settings.visual_dropout),
            nn.Linear(encoder.config.hidden_size, width),
            nn.GELU(),
            nn.Linear(width, width),
        )

    def train(self, mode: bool = True) -> "Captioner":
        """As usual, but the frozen ViT stays in eval mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    @torch.no_grad()
    def encode(self, images: "np.ndarray | Sequence[Image.Image]") -> Tensor:
        """The ViT's last hidden states, [n, tokens, width], on the CPU in the ViT's precision: [CLS], then patches.

        Images are uint8 [n, H, W, 3], or PIL images of any sizes; the ViT sees them as its own configuration says.
        """
        device, dtype = self.language_model.device, self.encoder.dtype
        parts = []
        for start in range(0, len(images), ENCODED_TOGETHER):
            pixels = self.preprocess(images[start : start + ENCODED_TOGETHER]).to(device, dtype)
            hidden = self.encoder(pixel_values=pixels).last_hidden_state
            parts.append(pooled(hidden, self._patch_pooling).cpu())
            check_finite(parts[-1], (), f"the ViT's features of the pictures from {start} on:")
        return torch.cat(parts)

    def tokens(self, captions: Sequence[str]) -> list[list[int]]:
        """The tokens of each caption and of its end."""
        texts = self.tokenizer(list(captions), add_special_tokens=False)["input_ids"]
        return [[*tokens, self.tokenizer.eos_token_id] for tokens in texts]

    def token_losses(self, features: Tensor, captions: Sequence[str]) -> Tensor:
        """Cross-entropy of the tokens of n captions and their ends, one after the other, float32 [tokens]."""
        rows = [torch.tensor(tokens, device=self.language_model.device) for tokens in self.tokens(captions)]
        input_ids = pad_sequence(rows, batch_first=True, padding_value=self.pad_token_id)
        written = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        prefix = self.prefix(features)
        hidden = self.language_model.model(
            inputs_embeds=torch.cat([prefix, self._embed(input_ids)], dim=1),
            attention_mask=torch.cat([written.new_ones(prefix.shape[:2]), written], dim=1),
        ).last_hidden_state
        before = hidden[:, prefix.shape[1] - 1 : -1]  # the state before a token predicts it
        scored = written == 1
        logits = self.language_model.lm_head(before[scored])
        return functional.cross_entropy(logits.float(), input_ids[scored], reduction="none")

    def prefix(self, features: Tensor) -> Tensor:
        """Embeddings of the begin-of-text token and of the visual tokens: [n, 1 + tokens, hidden size]."""
        visual = self.projector(features.to(self.language_model.device, torch.float32))
        start = self._embed(
            torch.full((len(features), 1), self.tokenizer.bos_token_id, device=self.language_model.device)
        )
        return torch.cat([start, visual.to(start.dtype)], dim=1)

    @torch.no_grad()
    def write(self, features: Tensor, settings: "DecodingParams") -> list[str]:
        """One caption per picture, one line each; a caption depends on no other picture of its batch.

        All prefixes have the same length, so a batch needs no padding.
        """
        self.eval()
        captions: list[str] = []
        for part in features.split(settings.batch_size):
            prefix = self.prefix(part)
            tokens = generate(
                self.language_model,
                inputs_embeds=prefix,
                attention_mask=torch.ones(prefix.shape[:2], dtype=torch.int64, device=self.language_model.device),
                max_new_tokens=settings.max_new_tokens,
                num_beams=settings.num_beams,
            )
            captions += [self._text(row) for row in tokens.tolist()]
        return captions

    def captions_of(self, images: "np.ndarray | Sequence[Image.Image]", settings: "DecodingParams") -> list[str]:
        """One caption per image: `encode`, then `write`."""
        return self.write(self.encode(images), settings)

    def _text(self, tokens: list[int]) -> str:
        """The first line that is not empty: an untrained model does not end its caption there."""
        end = self.tokenizer.eos_token_id
        written = tokens[: tokens.index(end)] if end in tokens else tokens
        lines = self.tokenizer.decode(written, skip_special_tokens=True).splitlines()
        return next((" ".join(line.split()) for line in lines if line.strip()), "")

    def _embed(self, input_ids: Tensor) -> Tensor:
        return self.language_model.get_input_embeddings()(input_ids)


def pooled(hidden: Tensor, side: int) -> Tensor:
    """A ViT's hidden states [n, 1 + grid * grid, width] with each square of `side` x `side` patches averaged."""
    first, patches = hidden[:, :1], hidden[:, 1:]
    grid = math.isqrt(patches.shape[1])
    squares = patches.unflatten(1, (grid // side, side, grid // side, side)).mean((2, 4)).flatten(1, 2)
    return torch.cat([first, squares], dim=1)


def lora_config(settings: "CaptionerLoraParams"):
    """A `peft.LoraConfig`; the targets are one regular expression, because PEFT writes a list in any order."""
    from peft import LoraConfig

    names = "|".join(map(re.escape, settings.targets))
    return LoraConfig(
        task_type="CAUSAL_LM", r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout,
        target_modules=rf"(.*\.)?({names})",
    )  # fmt: skip
