"""The miniature's BLIP-2: the frozen vision encoder, a Q-Former and a small T5 that writes short captions.

Li et al., "BLIP-2: Bootstrapping language-image pre-training with frozen image encoders and large language
models", ICML 2023. There the language model is frozen too; here it learns together with the Q-Former.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    T5Config,
    ViTModel,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from difflab.core.base import rng
from difflab.miniature.data import blend
from difflab.miniature.data.templates import short_caption
from difflab.miniature.data.vocabulary import MINIATURE
from difflab.miniature.zoo import vit as vision
from difflab.miniature.zoo.tokenizers import special_ids, t5_tokenizer
from difflab.models.blip2 import Blip2Captioner
from difflab.models.params import GenerationParams
from difflab.models.vision.preprocessing import normalised

if TYPE_CHECKING:
    from difflab.miniature.params import ZooBlip2Params
    from difflab.models.vision.preprocessing import Preprocessor

MAX_LENGTH = 64  # tokens of a prompt with its image tokens
GREEDY = GenerationParams(batch_size=100, max_new_tokens=24, do_sample=False, temperature=1, top_p=1)


def build_processor(eyes: "Preprocessor", num_query_tokens: int) -> Blip2Processor:
    """Pixels as the vision encoder takes them, and the T5 tokenizer with "<image>" added."""
    size = {"height": eyes.size, "width": eyes.size}
    images = BlipImageProcessorPil(size=size, image_mean=eyes.mean, image_std=eyes.std)
    return Blip2Processor(images, t5_tokenizer(MAX_LENGTH), num_query_tokens=num_query_tokens)


def build(
    vision_encoder_vit: ViTModel, processor: Blip2Processor, settings: "ZooBlip2Params", seed: int
) -> Blip2ForConditionalGeneration:
    """A new BLIP-2 on the vision encoder's weights; the image encoder is frozen, the rest is drawn from the seed."""
    tokenizer = processor.tokenizer
    qformer = Blip2QFormerConfig(
        **settings.qformer.model_dump(), cross_attention_frequency=1, vocab_size=len(tokenizer),
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    size = settings.text  # of a T5 without dropout; as in the released BLIP-2, </s> stands for the missing first token
    text = T5Config(
        **special_ids(tokenizer) | {"bos_token_id": tokenizer.eos_token_id}, vocab_size=len(tokenizer),
        decoder_start_token_id=tokenizer.pad_token_id, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        d_model=size.hidden_size, d_kv=size.hidden_size // size.num_attention_heads, d_ff=size.intermediate_size,
        num_layers=size.num_hidden_layers, num_decoder_layers=size.num_hidden_layers,
        num_heads=size.num_attention_heads,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=vision.blip2_vision_config(vision_encoder_vit).to_dict(),
        qformer_config=qformer.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=settings.num_query_tokens,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(rng.key(seed, "init", "blip2"))
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens)  # zeros would keep all queries equal for ever
    model.vision_model.load_state_dict(vision.blip2_vision_weights(vision_encoder_vit))
    model.vision_model.requires_grad_(False)
    return model


def batch_loss(
    model: Blip2ForConditionalGeneration,
    processor: Blip2Processor,
    indices: np.ndarray,
    seed: int,
    settings: "ZooBlip2Params",
) -> Callable[[int], dict[str, Tensor]]:
    """The captioning loss of a step, without a prompt, on composites of the digits `indices`."""
    size, prompt = model.config.vision_config.image_size, torch.tensor([prompt_ids(model)])
    eyes = processor.image_processor

    def loss(step: int) -> dict[str, Tensor]:
        count = settings.training.batch_size
        drawn = rng.numpy_rng(seed, "zoo blip2 digits", step).choice(indices, count)
        pictures = blend.batch(drawn, seed, "zoo blip2", step, size)
        captions = [short_caption(picture.attributes) for picture in pictures.composites]
        batch = {
            "pixel_values": normalised(pictures.images, size, eyes.image_mean, eyes.image_std),
            "input_ids": prompt.expand(count, -1),
            "labels": caption_labels(processor, captions),
        }
        return {"loss": model(**{name: value.to(model.device) for name, value in batch.items()}).loss}

    return loss


def prompt_ids(model: Blip2ForConditionalGeneration) -> list[int]:
    """The prompt of `generate` when there is none: the image tokens and the text model's first token."""
    config = model.config
    return [config.image_token_index] * config.num_query_tokens + [config.text_config.bos_token_id]


def caption_labels(processor: Blip2Processor, captions: list[str]) -> Tensor:
    """Token ids int64 [n, longest] with </s>; padding is -100, which the loss leaves out."""
    encoded = processor.tokenizer(captions, padding=True, return_tensors="pt")
    return encoded.input_ids.masked_fill(encoded.attention_mask == 0, -100)


def held_out_accuracy(
    model: Blip2ForConditionalGeneration, processor: Blip2Processor, indices: np.ndarray, seed: int
) -> dict[str, float | int]:
    """Shares of digits and photographs named in greedy captions of a composite of each digit."""
    captioner, size = Blip2Captioner(model, processor), model.config.vision_config.image_size
    drawn = blend.batch(indices, seed, "zoo blip2 held out", 0, size).composites
    captions: dict[str, str] = {}
    for start in range(0, len(drawn), GREEDY.batch_size):
        images = [Image.fromarray(picture.image) for picture in drawn[start : start + GREEDY.batch_size]]
        ids = [str(start + i) for i in range(len(images))]
        captions |= dict(zip(ids, captioner(images, ids, GREEDY, seed), strict=True))
    attributes = pd.DataFrame([picture.attributes for picture in drawn], index=list(captions))
    return {"n": len(drawn), **MINIATURE.class_accuracy(captions, attributes)}
