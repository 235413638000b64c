"""The miniature's instruction model: a small LLaVA on the frozen vision encoder that answers questions about a picture.

Liu et al., "Visual instruction tuning", NeurIPS 2023; here projector and Llama learn together, from nothing. It
learns from chats about digits over photographs in words of its own: it has never read a recipe's title.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.images.store.tensors import to_tensor
from difflab.miniature.pictures import blend
from difflab.miniature.words.vocabulary import PHOTO_DESCRIPTIONS, named
from difflab.miniature.zoo.small_llama import llama_config
from difflab.models.instruct_captioner import InstructCaptioner, messages
from difflab.models.language.batching import left_pad

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, LlavaProcessor, ViTModel

    from difflab.miniature.params.vision_models import ZooInstructParams

_IGNORED = -100


class Task(NamedTuple):
    """Several wordings of one instruction, and the form of its answer."""

    instructions: tuple[str, ...]
    form: str

    def answer(self, digit: int, photo: int) -> str:
        """On a picture of `digit` (0 to 9) over the photograph in that row of `blend.PHOTO_NAMES`."""
        return self.form.format(digit=NUMBER_WORDS[digit], photo=PHOTO_DESCRIPTIONS[blend.PHOTO_NAMES[photo]])


TITLE = Task(
    ("Write a short title for this picture.", "Give this picture a short title.", "What is a good title?"),
    "The digit {digit} in front of {photo}",
)
TASKS = (
    TITLE,
    Task(
        ("Describe this picture in one sentence.", "What does this picture show?"),
        "This picture shows a handwritten {digit} and behind it {photo}.",
    ),
    Task(("Which digit is in this picture?", "Read the digit."), "It is {digit}."),
    Task(("What is behind the digit?", "What is in the background?"), "There is {photo}."),
)


def vocabulary() -> list[str]:
    """Every instruction and answer: each of their words is one token."""
    shown = [(digit, photo) for digit in range(10) for photo in range(len(blend.PHOTO_NAMES))]
    answers = [task.answer(*picture) for task in TASKS for picture in shown]
    return [*(text for task in TASKS for text in task.instructions), *answers]


def build(
    vision_encoder_vit: "ViTModel", processor: "LlavaProcessor", settings: "ZooInstructParams", seed: int
) -> "LlavaForConditionalGeneration":
    """A new LLaVA on the vision encoder's weights; the image encoder is frozen, the rest is drawn from the seed."""
    from transformers.models.llava.configuration_llava import LlavaConfig
    from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration

    config = LlavaConfig(
        vision_config=vision_encoder_vit.config.to_dict(),
        text_config=llama_config(processor.tokenizer, **settings.text.model_dump()).to_dict(),
        image_token_index=processor.image_token_id,
        image_seq_length=(vision_encoder_vit.config.image_size // vision_encoder_vit.config.patch_size) ** 2,
        vision_feature_select_strategy=processor.vision_feature_select_strategy,
        vision_feature_layer=-1,  # the last: the vision encoder was trained on these classes
    )
    torch.manual_seed(rng.key(seed, "init", "instruct"))
    model = LlavaForConditionalGeneration(config)
    vision, tokenizer = model.model.vision_tower, processor.tokenizer
    vision.load_state_dict(
        vision.state_dict() | vision_encoder_vit.state_dict()
    )  # a vision encoder has no pooler, and none is read
    vision.requires_grad_(False)
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def batch_loss(
    model: "LlavaForConditionalGeneration",
    processor: "LlavaProcessor",
    indices: np.ndarray,
    seed: int,
    settings: "ZooInstructParams",
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a step: cross-entropy of the answers in chats about composites of the digits `indices`."""
    size, pad = model.config.vision_config.image_size, processor.tokenizer.pad_token_id
    asked = [(task, text) for task in TASKS for text in task.instructions]
    prompts = [prompt_ids(processor, text, size) for _, text in asked]

    def loss(step: int) -> dict[str, Tensor]:
        count = settings.training.batch_size
        generator = rng.numpy_rng(seed, "zoo instruct lessons", step)
        pictures = blend.batch(generator.choice(indices, count), seed, "zoo instruct", step, size)
        chosen = generator.integers(len(asked), size=count).tolist()
        shown = zip(chosen, pictures.digits.tolist(), pictures.photos.tolist(), strict=True)
        answers = answer_ids(processor, [asked[i][0].answer(digit, photo) for i, digit, photo in shown])
        input_ids, attention_mask = left_pad(
            [prompts[i] + answer for i, answer in zip(chosen, answers, strict=True)], pad
        )
        learnt = [[_IGNORED] * len(prompts[i]) + a for i, a in zip(chosen, answers, strict=True)]
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": left_pad(learnt, _IGNORED)[0],
            "pixel_values": to_tensor(pictures.images, size),
        }
        return {"loss": model(**{name: value.to(model.device) for name, value in batch.items()}).loss}

    return loss


def prompt_ids(processor: "LlavaProcessor", instruction: str, image_size: int) -> list[int]:
    """The chat up to where the model is to speak; its image tokens are the same for every picture of that size."""
    blank = Image.new("RGB", (image_size, image_size))
    encoded = processor.apply_chat_template(
        messages(blank, instruction), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return encoded["input_ids"][0]


def answer_ids(processor: "LlavaProcessor", answers: list[str]) -> list[list[int]]:
    """What the model is to say, with the end of the text."""
    tokenizer = processor.tokenizer
    rows = tokenizer([f" {answer}" for answer in answers], add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in rows]


def held_out_accuracy(
    model: "LlavaForConditionalGeneration", processor: "LlavaProcessor", indices: np.ndarray, seed: int, pictures: int
) -> dict[str, float | int]:
    """Scores on `pictures` composites of each digit of `indices`.

    Returns:
        n; digit_accuracy and photo_accuracy, the shares named in the titles that it is asked for; right_answers,
        the share of the answers to one instruction of each task that are right to the letter.
    """
    captioner, size = InstructCaptioner(model, processor), model.config.vision_config.image_size
    batches = [blend.batch(indices, seed, "zoo instruct held out", draw, size) for draw in range(pictures)]
    images = [Image.fromarray(image) for batch in batches for image in batch.images]
    shown = [(int(d), int(p)) for batch in batches for d, p in zip(batch.digits, batch.photos, strict=True)]
    digits = photos = right = 0
    for task in TASKS:
        answers = captioner(images, task.instructions[0], batch_size=100, max_new_tokens=24)
        for answer, (digit, photo) in zip(answers, shown, strict=True):
            right += answer == task.answer(digit, photo)
            if task is TITLE:
                said = named(answer)
                digits += said[0] == digit
                photos += said[1] == photo
    n = len(images)
    return {
        "n": n,
        "digit_accuracy": digits / n,
        "photo_accuracy": photos / n,
        "right_answers": right / (n * len(TASKS)),
    }


def save(folder: str | Path, model: "LlavaForConditionalGeneration", processor: "LlavaProcessor") -> None:
    """Write model and processor for `from_pretrained`; the same bytes for the same weights."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
