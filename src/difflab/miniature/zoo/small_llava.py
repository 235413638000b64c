"""The miniature's instruction model: a small LLaVA on the frozen vision encoder that answers questions about a picture.

Liu et al., "Visual instruction tuning", NeurIPS 2023; here projector and Llama learn together, from nothing. It
learns from chats about digits over photographs in words of its own: it has never read a recipe's title.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken
from torch import Tensor
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, ViTConfig, ViTModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from difflab.core.base import rng
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.data import blend
from difflab.miniature.data.vocabulary import PHOTO_DESCRIPTIONS, named
from difflab.miniature.zoo.causal import IGNORED, llama_config
from difflab.miniature.zoo.tokenizers import base_tokenizer, special_ids
from difflab.models.instruct_captioner import InstructCaptioner, messages
from difflab.models.language.chat_model import left_pad
from difflab.models.vision.preprocessing import normalised

if TYPE_CHECKING:
    from difflab.miniature.params import ZooInstructParams
    from difflab.models.vision.preprocessing import Preprocessor

IMAGE, PAD = "<image>", "<pad>"
# As released: pictures before text, no token that ends the user's turn; the tokenizer begins the text.
CHAT_TEMPLATE = (
    "{%- for message in messages %}{{- message['role'] | upper + ':' }}"
    "{%- for part in message['content'] if part['type'] == 'image' %}{{- ' <image>\n' }}{%- endfor %}"
    "{%- for part in message['content'] if part['type'] == 'text' %}{{- part['text'] + ' ' }}{%- endfor %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- 'ASSISTANT:' }}{%- endif %}"
)


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


def build_processor(vision: ViTConfig, eyes: "Preprocessor", texts: Iterable[str]) -> LlavaProcessor:
    """Pixels as the vision encoder has them, one token for each word of `texts`, an image token a patch.

    Any other text is spelt in bytes.
    """
    side = eyes.size
    images = CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=eyes.mean,
        image_std=eyes.std,
    )
    spoken = [text for line in texts for text in (line, f" {line}")]
    tokenizer = base_tokenizer([*spoken, "USER:", " ASSISTANT:", "ASSISTANT:"])
    tokenizer.add_special_tokens({"pad_token": PAD})
    tokenizer.add_tokens([AddedToken(IMAGE, special=True)])
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.padding_side = "left"
    return LlavaProcessor(
        images, tokenizer, patch_size=vision.patch_size, chat_template=CHAT_TEMPLATE, image_token=IMAGE,
        num_additional_image_tokens=1, vision_feature_select_strategy="default",  # the model is not shown [CLS]
    )  # fmt: skip


def build(
    vision_encoder_vit: ViTModel, processor: LlavaProcessor, settings: "ZooInstructParams", seed: int
) -> LlavaForConditionalGeneration:
    """A new LLaVA on the vision encoder's weights; the image encoder is frozen, the rest is drawn from the seed."""
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
    # A vision encoder has no pooler, and none is read.
    vision.load_state_dict(vision.state_dict() | vision_encoder_vit.state_dict())
    vision.requires_grad_(False)
    model.generation_config.update(**special_ids(tokenizer))
    return model


def batch_loss(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    indices: np.ndarray,
    seed: int,
    settings: "ZooInstructParams",
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a step: cross-entropy of the answers in chats about composites of the digits `indices`."""
    size, pad = model.config.vision_config.image_size, processor.tokenizer.pad_token_id
    eyes = processor.image_processor
    asked = [(task, text) for task in TASKS for text in task.instructions]
    prompts = [prompt_ids(processor, text, size) for _, text in asked]

    def loss(step: int) -> dict[str, Tensor]:
        count = settings.training.batch_size
        generator = rng.numpy_rng(seed, "zoo instruct lessons", step)
        pictures = blend.batch(generator.choice(indices, count), seed, "zoo instruct", step, size)
        chosen = generator.integers(len(asked), size=count).tolist()
        shown = zip(chosen, pictures.digits.tolist(), pictures.photos.tolist(), strict=True)
        answers = answer_ids(processor, [asked[i][0].answer(digit, photo) for i, digit, photo in shown])
        rows = [(prompts[i], answer) for i, answer in zip(chosen, answers, strict=True)]
        input_ids, attention_mask = left_pad([prompt + answer for prompt, answer in rows], pad)
        learnt = [[IGNORED] * len(prompt) + answer for prompt, answer in rows]
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": left_pad(learnt, IGNORED)[0],
            "pixel_values": normalised(pictures.images, size, eyes.image_mean, eyes.image_std),
        }
        return {"loss": model(**{name: value.to(model.device) for name, value in batch.items()}).loss}

    return loss


def prompt_ids(processor: LlavaProcessor, instruction: str, image_size: int) -> list[int]:
    """The chat up to where the model is to speak; its image tokens are the same for every picture of that size."""
    blank = Image.new("RGB", (image_size, image_size))
    encoded = processor.apply_chat_template(
        messages(blank, instruction), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return encoded["input_ids"][0]


def answer_ids(processor: LlavaProcessor, answers: list[str]) -> list[list[int]]:
    """What the model is to say, with the end of the text."""
    tokenizer = processor.tokenizer
    rows = tokenizer([f" {answer}" for answer in answers], add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in rows]


def held_out_accuracy(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, indices: np.ndarray, seed: int
) -> dict[str, float | int]:
    """Scores on a composite of each digit of `indices`.

    Returns:
        n; digit_accuracy and photo_accuracy, the shares named in the titles that it is asked for; right_answers,
        the share of the answers to one instruction of each task that are right to the letter.
    """
    pictures = blend.batch(indices, seed, "zoo instruct held out", 0, model.config.vision_config.image_size)
    captioner, images = InstructCaptioner(model, processor), [Image.fromarray(image) for image in pictures.images]
    shown = np.stack([pictures.digits, pictures.photos], axis=1)
    answers = {task: captioner(images, task.instructions[0], batch_size=100, max_new_tokens=24) for task in TASKS}
    right = [a == task.answer(*true) for task, said in answers.items() for a, true in zip(said, shown, strict=True)]
    digits, photos = (np.array([named(answer) for answer in answers[TITLE]]) == shown).mean(axis=0).tolist()
    accuracies = {"digit_accuracy": digits, "photo_accuracy": photos, "right_answers": float(np.mean(right))}
    return {"n": len(images), **accuracies}
