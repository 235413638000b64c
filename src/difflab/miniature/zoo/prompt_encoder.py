"""The text encoder of the small Stable Diffusion: it learns to name the digit and the photograph of a title.

So its tokens tell apart what a picture has to show, as CLIP's do after training on pictures with captions. A U-Net
that learns together with an untrained text encoder draws digits long before it draws the one asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerBase

from difflab.core.base import rng
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import FORMS, titles
from difflab.miniature.zoo.tokenizers import special_ids, token_ids

if TYPE_CHECKING:
    from difflab.miniature.params import ZooDiffusionParams

PLAIN_FORMS = ("Handwritten {digit}", "{digit}", "the Digit {digit}", "the Number {digit}")
_NONE = -1
_SCALE = 10.0  # of cosines as logits: the loss then asks for angles, not for long vectors
_HEAD_DIM = 16


@dataclass(frozen=True)
class Prompts:
    """Every title of a digit over a photograph, then every title of a plain digit, then the empty prompt."""

    tokens: Tensor  # int64 [P, L], as the pipeline of Stable Diffusion makes them
    digits: Tensor  # int64 [P], -1 for the empty prompt
    photos: Tensor  # int64 [P], rows of `PHOTO_NAMES`, -1 for plain digits and the empty prompt

    @property
    def empty_row(self) -> int:
        return len(self.tokens) - 1

    def rows(self, digits: Tensor, photos: Tensor, uniform: Tensor) -> Tensor:
        """A prompt for each picture of these digits and photographs: which of its titles, `uniform` decides; all [n]."""
        titled = (digits * len(PHOTO_NAMES) + photos) * len(FORMS) + (uniform * len(FORMS)).long()
        first_plain = 10 * len(PHOTO_NAMES) * len(FORMS)
        plain = first_plain + digits * len(PLAIN_FORMS) + (uniform * len(PLAIN_FORMS)).long()
        return torch.where(photos >= 0, titled, plain)


def all_prompts(tokenizer: PreTrainedTokenizerBase) -> Prompts:
    """The prompts that the model learns."""
    shown = [(digit, photo) for digit in range(10) for photo in range(len(PHOTO_NAMES)) for _ in FORMS]
    shown += [(digit, _NONE) for digit in range(10) for _ in PLAIN_FORMS]
    texts = [title for digit in range(10) for name in PHOTO_NAMES for title in titles(digit, name)]
    texts += [form.format(digit=word.capitalize()) for word in NUMBER_WORDS for form in PLAIN_FORMS]
    digits, photos = torch.tensor([*shown, (_NONE, _NONE)]).T
    return Prompts(token_ids(tokenizer, [*texts, ""]), digits, photos)


class Namer(nn.Module):
    """A text encoder with a direction for every digit and every photograph; only the encoder is kept.

    A prompt's logits are the scaled cosines between its mean token and the directions (Wang et al. 2017, "NormFace").
    """

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.digits = nn.Parameter(torch.randn(10, width))
        self.photos = nn.Parameter(torch.randn(len(PHOTO_NAMES), width))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of digits [n, 10] and photographs [n, 12] for tokens int64 [n, L]."""
        mean = functional.normalize(self.encoder(input_ids=tokens).last_hidden_state.mean(1), dim=-1)
        return tuple(_SCALE * mean @ functional.normalize(d, dim=-1).T for d in (self.digits, self.photos))


def build(params: "ZooDiffusionParams", tokenizer: PreTrainedTokenizerBase, seed: int) -> Namer:
    """A new text encoder, drawn from the seed."""
    torch.manual_seed(rng.key(seed, "init", "diffusion text"))
    width = params.text_encoder.hidden_size
    config = CLIPTextConfig(
        **special_ids(tokenizer), vocab_size=len(tokenizer), max_position_embeddings=params.max_length,
        hidden_size=width, intermediate_size=4 * width, num_attention_heads=max(1, width // _HEAD_DIM),
        num_hidden_layers=params.text_encoder.num_hidden_layers,
    )  # fmt: skip
    return Namer(CLIPTextModel(config))


def batch_loss(namer: Namer, prompts: Prompts, batch_size: int, seed: int) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a training step (for `training.supervised.fit`): cross-entropy of digit and photograph."""

    def loss(step: int) -> dict[str, Tensor]:
        draws = rng.numpy_rng(seed, "zoo diffusion prompts", step)
        rows = torch.from_numpy(draws.integers(prompts.empty_row, size=batch_size))
        device = namer.digits.device
        digit_logits, photo_logits = namer(prompts.tokens[rows].to(device))
        digits, photos = prompts.digits[rows].to(device), prompts.photos[rows].to(device)
        digit_loss = functional.cross_entropy(digit_logits, digits)
        # Of prompts without a photograph nothing is asked; a batch may hold no other.
        named = functional.cross_entropy(photo_logits, photos, ignore_index=_NONE, reduction="sum")
        return {"loss": digit_loss + named / (photos >= 0).sum().clamp_min(1)}

    return loss


@torch.no_grad()
def accuracy(namer: Namer, prompts: Prompts) -> float:
    """The share of titles whose digit and photograph are both named rightly."""
    titled = prompts.photos >= 0
    digits, photos = (logits.argmax(1).cpu() for logits in namer(prompts.tokens[titled].to(namer.digits.device)))
    return ((digits == prompts.digits[titled]) & (photos == prompts.photos[titled])).float().mean().item()


@torch.no_grad()
def embed(encoder: CLIPTextModel, prompts: Prompts) -> Tensor:
    """What the U-Net reads of every prompt, float32 [P, L, D]."""
    parts = prompts.tokens.to(encoder.device).split(256)
    return torch.cat([encoder(input_ids=part).last_hidden_state for part in parts])
