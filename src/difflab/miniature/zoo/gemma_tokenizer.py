"""The tokenizer of the miniature's Gemma, in the format of Gemma 3: one token for each word of its titles."""

import string
from functools import cache
from typing import TYPE_CHECKING

from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.digit_titles import titles
from difflab.miniature.zoo.tokenizers import learn_merges
from difflab.models.title_variations import REQUEST, SYSTEM

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

END_OF_TURN = "<end_of_turn>"
_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", END_OF_TURN)
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_PHRASES = (f"{SYSTEM}\n\n{REQUEST}\nTitle:", "user\n", "model\n", *(f"\n{number}." for number in (2, 3)))
# As released: the system's words begin the user's first turn.
CHAT_TEMPLATE = (
    "{{- bos_token }}{%- set ns = namespace(system='') %}{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{%- set ns.system = message['content'] | trim + '\n\n' %}"
    "{%- else %}"
    "{{- '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{{- ns.system + message['content'] | trim + '<end_of_turn>\n' }}{%- set ns.system = '' %}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)


@cache
def words() -> tuple[str, ...]:
    """The distinct words of the titles, sorted."""
    every = (title for digit in range(10) for photo in PHOTO_NAMES for title in titles(digit, photo))
    return tuple(sorted({word for title in every for word in title.split()}))


def gemma_tokenizer(max_length: int = 512) -> "PreTrainedTokenizerBase":
    """A `GemmaTokenizer`: BPE on text whose spaces are ▁, bytes for unknown characters, left padding.

    The standing phrases of the request are tokens too, across their spaces, so that prompts are short and the
    small model learns fast. The first ids are those of the released vocabulary.
    """
    from tokenizers import AddedToken
    from transformers import GemmaTokenizer

    merges = learn_merges(["▁" + word for word in words()] + ["1."])
    pieces = [*_SPECIAL, *_BYTES, *string.printable.strip(), "\n", "▁", *map("".join, merges)]
    tokenizer = GemmaTokenizer(
        vocab={piece: i for i, piece in enumerate(dict.fromkeys(pieces))},
        merges=merges,
        padding_side="left",
        model_max_length=max_length,
    )
    tokenizer.add_tokens([AddedToken(token, special=True) for token in ("<start_of_turn>", END_OF_TURN)])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in _PHRASES])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
