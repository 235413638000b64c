"""Captions by an instruction model: a vision-language chat model that is asked for one, whatever its class."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin

    from difflab.captioning.params.captioner import CaptionerInstructParams

VARIANT = "captioner"  # as all captions that are scored side by side
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“"}


class InstructCaptioner:
    """A model that reads pictures and text, and its processor, which has a chat template.

    Attributes:
        model: of `AutoModelForImageTextToText`, for example `LlavaForConditionalGeneration`.
        processor: of `AutoProcessor`; its tokenizer pads on the left from now on.
    """

    def __init__(self, model: "PreTrainedModel", processor: "ProcessorMixin") -> None:
        self.model, self.processor = model.eval(), processor
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:  # which one pads is indifferent: masks leave it out
            tokenizer.pad_token = tokenizer.eos_token

    @torch.inference_mode()
    def __call__(self, images: "Sequence[Image.Image]", settings: "CaptionerInstructParams") -> list[str]:
        """One caption per image: the likeliest tokens, of which `caption_of` the answer is kept.

        Args:
            images: RGB images of any sizes; the processor makes of them what the model wants. A caption depends
                on no other image.
        """
        captions: list[str] = []
        for start in range(0, len(images), settings.batch_size):
            inputs = self.inputs(images[start : start + settings.batch_size], settings.instruction)
            tokens = self.model.generate(
                **inputs,
                max_new_tokens=settings.max_new_tokens,
                num_beams=1,
                pad_token_id=self.processor.tokenizer.pad_token_id,
                do_sample=False,  # released models ask for unseeded sampling
                temperature=None,
                top_p=None,
                top_k=None,
            )
            answers = tokens[:, inputs["input_ids"].shape[1] :]
            captions += map(caption_of, self.processor.batch_decode(answers, skip_special_tokens=True))
        return captions

    def inputs(self, images: "Sequence[Image.Image]", instruction: str) -> Any:
        """What `generate` takes, on the model's device: chats of any lengths, padded left and masked."""
        encoded = self.processor.apply_chat_template(
            [messages(image, instruction) for image in images],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        return encoded.to(self.model.device, self.model.dtype)


def load(folder: str | Path, device: torch.device | str, dtype: torch.dtype) -> InstructCaptioner:
    """Read a captioner from a `save_pretrained` folder (`difflab.models.roles.resolve`).

    Raises:
        DifflabError: the folder lacks a model that reads pictures and text, its processor or the chat template.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    remedy = (
        "run `dvc repro zoo_instruct` (or `dvc pull`), or let zoo.instruct.hub name a chat model for pictures"
    )
    if not (Path(folder) / "config.json").exists():
        raise DifflabError(f"{folder} holds no instruction model: {remedy}")
    try:
        processor = AutoProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
    except (OSError, ValueError):
        processor = None
    if not hasattr(processor, "image_processor"):  # where there is none, AutoProcessor gives the tokenizer
        raise DifflabError(f"{folder} has no processor of pictures and text: {remedy}")
    if processor.chat_template is None:
        raise DifflabError(f"{folder} has no chat template: {remedy}")
    try:
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, local_files_only=True)
    except (OSError, ValueError):
        raise DifflabError(f"{folder} holds no model that reads pictures and text: {remedy}") from None
    return InstructCaptioner(model.to(device), processor)


def messages(image: "Image.Image", instruction: str) -> list[dict[str, Any]]:
    """The chat about one picture, in the form that a processor's `apply_chat_template` takes."""
    content = [{"type": "image", "image": image}, {"type": "text", "text": instruction}]
    return [{"role": "user", "content": content}]


def caption_of(answer: str) -> str:
    """The first line that is not empty, white space collapsed, without quotation marks around the whole of it."""
    line = next((" ".join(line.split()) for line in answer.splitlines() if line.strip()), "")
    inside = line[1:-1].strip()
    if len(line) > 1 and _QUOTES.get(line[0]) == line[-1] and not {line[0], line[-1]} & set(inside):
        return inside
    return line
