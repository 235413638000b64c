"""Tokenizers of the miniature, in the formats of CLIP, T5 and Llama 3: one token for each word.

Each covers any text: the byte-level ones to the last byte, T5's Unigram for Latin letters (others become
<unk>, as in the released T5). Built in memory from the words of both attribute tables, without randomness.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, T5TokenizerFast

from difflab.core.base.numerals import NUMBER_WORDS
from difflab.images.facts.celeba_facts import CELEBA
from difflab.miniature.data.vocabulary import MINIATURE, PHOTO_WORDS, SLANTS, TINTS
from difflab.models.language.rewriter import REQUEST, SYSTEM

LLAMA_CHAT_TEMPLATE = (
    "{{- bos_token }}{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{- message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
# Openings of the miniature's facts; longer ones first, so that they win.
_PHOTO_OF = ("photo of an", "photo of a", "photo of")
_FRAMES = (*(f"background is a {p}" for p in _PHOTO_OF), "background is", "digit is a", "digit is", "stroke is")
# Common words of captions of faces and of our own sentences, beside the facts.
_GENERAL = """
A a an the this that it is are of on in over under at with and or to by, for. person's man woman people person
face black white red green blue yellow orange grey photo picture image drawing handwritten light close up
wearing holding standing sitting looking smiling hair eyes background front camera suit shirt dress young old
Caption: Facts: - ? ! : ; ' "
"""

_PHRASES = (
    SYSTEM,
    REQUEST,
    "\nCaption: a handwritten",
    "\nFacts:",
    *(f"{mark}\n- The {frame}" for mark in (".", "") for frame in _FRAMES),
    *(f" over a {photo_of}" for photo_of in _PHOTO_OF),
    *(f" {photo_of}" for photo_of in _PHOTO_OF),
    *(f" {slant}" for slant in SLANTS.values()),
)

# Of prompts: longer ones first, so that they win.
_PROMPT_PHRASES = (
    *(f"photo of {words}" for words in PHOTO_WORDS.values()),
    *(f"handwritten {word}" for word in NUMBER_WORDS),
    *(f"dark {tint}" for tint in TINTS.values()),
    *SLANTS.values(),
    "plain background",
    "over a",
)


@cache
def corpus() -> tuple[str, ...]:
    """The texts whose words become single tokens: facts of both tables, what captions say, the chat."""
    lines = [
        *(" ".join(_GENERAL.split()), SYSTEM, REQUEST, " ".join(NUMBER_WORDS), "system", "user", "assistant"),
        "A handwritten digit over a photo or a plain background.",
        *(fact.sentence for fact in (*CELEBA.facts, *MINIATURE.facts)),
    ]
    return tuple(text for line in lines for text in (line, line.lower(), f" {line.lower()}"))


def words(texts: Iterable[str]) -> list[str]:
    """The distinct words and marks of the texts, sorted."""
    return sorted({word for text in texts for word in re.findall(r"[^\W\d_]+|[^\w\s]+", text)})


def learn_merges(pieces: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """Byte-pair merges until every piece is one symbol (Sennrich, Haddow and Birch 2016, algorithm 1).

    The most frequent pair merges first, and of equally frequent ones the first in alphabetical order, so the
    merges depend on the pieces alone (the trainers of `tokenizers` break ties by the order of a hash map).
    """
    sequences = sorted({tuple(piece) for piece in pieces})
    merges = []
    while True:
        counts = Counter(pair for sequence in sequences for pair in itertools.pairwise(sequence))
        if not counts:
            return merges
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        sequences = [merged for s in sequences if len(merged := _merge(s, best)) > 1]


def _merge(sequence: Sequence[str], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for symbol in sequence:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return tuple(merged)


def clip_tokenizer(max_length: int, phrases: bool = False) -> PreTrainedTokenizerFast:
    """A `CLIPTokenizer` (lower-case byte-level BPE) that pads and truncates to `max_length`.

    Every byte exists bare and with the end-of-word mark: an unknown piece would become <|endoftext|> and end
    the text unseen. <|endoftext|> has the highest id, as in the released vocabulary.

    Args:
        phrases: those of prompts are tokens too: a base then reads two thirds as many, the padding included. For
            reading only: decoded, a phrase runs into the next word.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = {word.lower() for word in words(corpus())}
    merges = learn_merges([*word[:-1], word[-1] + "</w>"] for word in known)
    pieces = [*alphabet, *(byte + "</w>" for byte in alphabet), *map("".join, merges)]
    pieces = [*dict.fromkeys(pieces), *(_PROMPT_PHRASES if phrases else ()), "<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=max_length)
    return _with_phrases(tokenizer) if phrases else tokenizer


def _with_phrases(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, which takes each phrase of prompts, a piece of its vocabulary, as one token."""
    tokenizer.add_tokens([AddedToken(phrase, single_word=True, normalized=True) for phrase in _PROMPT_PHRASES])
    return tokenizer


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """Token ids int64 [n, max_length], padded and truncated as the pipeline of Stable Diffusion does it."""
    return tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt").input_ids


def special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    """The special tokens of a model's configuration."""
    return {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def t5_tokenizer(max_length: int, phrases: bool = False) -> PreTrainedTokenizerFast:
    """A `T5Tokenizer` (Unigram): each word of the corpus and Latin letter is a piece, words win.

    Args:
        phrases: as in `clip_tokenizer`.
    """
    latin = [chr(i) for i in (*range(0x21, 0x7F), *range(0xA1, 0x180))]
    known = words(corpus())
    pieces = dict.fromkeys(["▁", *("▁" + word for word in known), *known, *latin])
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    scores = [(piece, -10.0 if len(piece) > 1 else -20.0) for piece in pieces]
    scores += [(phrase, -10.0) for phrase in _PROMPT_PHRASES if phrases]
    tokenizer = T5TokenizerFast(vocab=special + scores, extra_ids=0, model_max_length=max_length)
    return _with_phrases(tokenizer) if phrases else tokenizer


def llama_tokenizer(max_length: int = 2048) -> PreTrainedTokenizerFast:
    """A Llama-3-like tokenizer: byte-level BPE, the turn tokens, the chat template, left padding.

    The standing phrases of the captioning chat are tokens too, across their spaces (as in SuperBPE, Liu et
    al. 2025), so that each fact is an opening and a value: prompts are a third as long, and the small model
    learns in a tenth of the time.
    """
    bos, eot, pad = "<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"
    special = [bos, "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", eot, pad]
    trained, names = _byte_bpe(special, corpus(), _PHRASES), {"bos_token": bos, "eos_token": eot, "pad_token": pad}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained, padding_side="left", model_max_length=max_length, **names
    )
    tokenizer.chat_template = LLAMA_CHAT_TEMPLATE
    return tokenizer


def base_tokenizer(texts: Iterable[str], max_length: int = 512) -> PreTrainedTokenizerFast:
    """A tokenizer as of a Llama 3 that is no chat model: byte-level BPE with the words of `texts`, nothing to pad with."""
    bos, eos = "<|begin_of_text|>", "<|end_of_text|>"
    trained = _byte_bpe([bos, eos], texts)
    return PreTrainedTokenizerFast(tokenizer_object=trained, bos_token=bos, eos_token=eos, model_max_length=max_length)


def _byte_bpe(special_tokens: list[str], texts: Iterable[str], phrases: Iterable[str] = ()) -> "Tokenizer":
    """Byte-level BPE in which every word of the texts is one token together with the space before it, and every phrase.

    The first special token begins the text.
    """
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    merges = learn_merges(piece for text in texts for piece, _ in split.pre_tokenize_str(text))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = dict.fromkeys([*special_tokens, *alphabet, *map("".join, merges)])
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.ByteLevel()
    tokenizer.add_special_tokens(special_tokens)
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    start = special_tokens[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, tokenizer.token_to_id(start))]
    )
    return tokenizer
