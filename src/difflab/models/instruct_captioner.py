"""Captions by an instruction model: a vision-language chat model, of any class, that is asked for one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from difflab.core.base.errors import DifflabError, Unreadable
from difflab.core.base.image_processors import check_image_processor
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.models.language.answers import sentence
from difflab.models.language.chat_model import decoded
from difflab.models.language.keyed_sampling import generate
from difflab.models.language.prompt_tokens import control_tokens

if TYPE_CHECKING:
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin


class InstructCaptioner:
    """A model of `AutoModelForImageTextToText`, and its processor with a chat template, which pads left from now on."""

    def __init__(self, model: "PreTrainedModel", processor: "ProcessorMixin") -> None:
        self.model, self.processor = model.eval(), processor
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:  # any will do: the attention mask hides the padding
            tokenizer.pad_token = tokenizer.eos_token
        model.generation_config.pad_token_id = tokenizer.pad_token_id

    @torch.inference_mode()
    def __call__(
        self, images: "Sequence[Image.Image]", instruction: str, *, batch_size: int, max_new_tokens: int
    ) -> list[str]:
        """One caption per image: the `sentence` of the answer of most likely tokens.

        The RGB images may have any sizes. A caption depends on no other image; `batch_size` changes the speed alone.
        """
        captions: list[str] = []
        for start in range(0, len(images), batch_size):
            inputs = self.inputs(images[start : start + batch_size], instruction)
            tokens = generate(self.model, max_new_tokens=max_new_tokens, **inputs)
            answers = tokens[:, inputs["input_ids"].shape[1] :].tolist()
            captions += [sentence(decoded(self.processor.tokenizer, answer)) for answer in answers]
        return captions

    def inputs(self, images: "Sequence[Image.Image]", instruction: str) -> Any:
        """What `generate` takes, on the model's device: chats of any lengths, padded left and masked.

        Raises:
            DifflabError: the instruction spells a control token, such as "<image>": templates that leave the first token
                to the tokenizer (LLaVA 1.5's) cannot keep it a text.
        """
        if spelt := [token for token in control_tokens(self.processor.tokenizer) if token in instruction]:
            raise DifflabError(f"the instruction '{instruction}' holds the model's own {spelt[0]}: say it without")
        chats = [messages(image, instruction) for image in images]
        options = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "processor_kwargs": {"padding": True}}
        encoded = self.processor.apply_chat_template(chats, add_generation_prompt=True, **options)
        return encoded.to(self.model.device, self.model.dtype)


def load_instruct_captioner(folder: str | Path, device: torch.device | str, dtype: torch.dtype) -> InstructCaptioner:
    """Read an instruction model from a `save_pretrained` folder (`difflab.core.base.roles.resolve`)."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    remedy = "run `dvc repro zoo_instruct` (or `dvc pull`), or let zoo.instruct.hub name a chat model for pictures"
    if not (Path(folder) / "config.json").exists():
        raise DifflabError(f"{folder} holds no instruction model: {remedy}")
    try:
        processor = pretrained(AutoProcessor, folder, backend="pil", local_files_only=True)
    except Unreadable:
        processor = None
    if not hasattr(processor, "image_processor"):  # without a processor, AutoProcessor returns the tokenizer
        raise DifflabError(f"{folder} has no processor of pictures and text: {remedy}")
    if hasattr(processor.image_processor, "do_rescale"):  # all but few have these values
        check_image_processor(processor.image_processor, folder)
    if processor.chat_template is None:
        raise DifflabError(f"{folder} has no chat template: {remedy}")
    try:
        model = pretrained_model(AutoModelForImageTextToText, folder, dtype=dtype, local_files_only=True)
    except Unreadable as error:
        raise DifflabError(f"{folder} holds no model that reads pictures and text ({error}): {remedy}") from None
    return InstructCaptioner(model.to(device), processor)


def messages(image: "Image.Image", instruction: str) -> list[dict[str, Any]]:
    """The chat about one picture, in the form that a processor's `apply_chat_template` takes."""
    content = [{"type": "image", "image": image}, {"type": "text", "text": instruction}]
    return [{"role": "user", "content": content}]
