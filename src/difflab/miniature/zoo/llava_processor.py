"""What the miniature's instruction model reads: a `LlavaProcessor` with the chat of LLaVA 1.5."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from difflab.miniature.zoo.tokenizers import base_tokenizer

if TYPE_CHECKING:
    from transformers import LlavaProcessor, PreTrainedTokenizerBase, ViTConfig

IMAGE, PAD = "<image>", "<pad>"
# As released: pictures before text, no token that ends the user's turn; the tokenizer begins the text.
CHAT_TEMPLATE = (
    "{%- for message in messages %}{{- message['role'] | upper + ':' }}"
    "{%- for part in message['content'] if part['type'] == 'image' %}{{- ' <image>\n' }}{%- endfor %}"
    "{%- for part in message['content'] if part['type'] == 'text' %}{{- part['text'] + ' ' }}{%- endfor %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- 'ASSISTANT:' }}{%- endif %}"
)


def build_processor(vision: "ViTConfig", texts: Iterable[str]) -> "LlavaProcessor":
    """Pixels in [-1, 1] as the vision encoder has them, one token for each word of `texts`, an image token a patch.

    Args:
        vision: of the vision encoder.
        texts: instructions and answers; any other text is spelt in bytes.
    """
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.processing_llava import LlavaProcessor

    side = vision.image_size
    images = CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return LlavaProcessor(
        images,
        _tokenizer(texts),
        patch_size=vision.patch_size,
        vision_feature_select_strategy="default",  # the first token, [CLS], is not shown to the language model
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def _tokenizer(texts: Iterable[str]) -> "PreTrainedTokenizerBase":
    from tokenizers import AddedToken

    spoken = [text for line in texts for text in (line, f" {line}")]
    tokenizer = base_tokenizer([*spoken, "USER:", " ASSISTANT:", "ASSISTANT:"])
    tokenizer.add_special_tokens({"pad_token": PAD})
    tokenizer.add_tokens([AddedToken(IMAGE, special=True)])
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.padding_side = "left"
    return tokenizer
