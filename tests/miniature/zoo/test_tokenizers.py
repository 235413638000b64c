"""Tokenizers cover every text, keep the captions short, and are the same bytes every time."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.images.facts.celeba_facts import FACTS
from difflab.miniature.data.blend import batch
from difflab.miniature.data.templates import detailed_caption, short_caption
from difflab.miniature.data.vocabulary import MINIATURE
from difflab.miniature.zoo.tokenizers import (
    base_tokenizer,
    clip_tokenizer,
    corpus,
    learn_merges,
    llama_tokenizer,
    t5_tokenizer,
    words,
)
from difflab.models.language.rewriter import Request

BUILDERS = {
    "clip": lambda: clip_tokenizer(24),
    "t5": lambda: t5_tokenizer(24),
    "clip-prompts": lambda: clip_tokenizer(24, phrases=True),
    "t5-prompts": lambda: t5_tokenizer(24, phrases=True),
    "llama": llama_tokenizer,
    "base": lambda: base_tokenizer(corpus()),
}


@pytest.fixture(scope="module")
def tokenizers():
    return {name: build() for name, build in BUILDERS.items()}


def test_merges_of_a_worked_example():
    """hug x 2 pieces share (u, g); then ties go to the alphabetically first pair."""
    assert learn_merges(["hug", "bug", "hub"]) == [("h", "u"), ("b", "u"), ("bu", "g"), ("hu", "b"), ("hu", "g")]
    assert learn_merges(["aa", "aaa"]) == [("a", "a"), ("aa", "a")]


@pytest.mark.parametrize("name", BUILDERS)
def test_every_word_of_the_corpus_is_one_token(tokenizers, name):
    tokenizer = tokenizers[name]
    space = " " if name in ("llama", "base") else ""  # their tokens carry the space before the word
    for word in filter(str.isalpha, words(corpus())):
        assert len(tokenizer.tokenize(space + word.lower())) == 1, word


@pytest.mark.parametrize(("name", "limit"), [("clip-prompts", 14), ("t5-prompts", 13), ("clip", 24), ("t5", 24)])
def test_every_caption_of_the_miniature_fits(tokenizers, name, limit):
    """14 and 13 are `zoo.text.max_length` and `cache.prompts.max_sequence_length` of the miniature."""
    composites = batch(np.arange(1500), seed=0, purpose="test", step=0).composites
    captions = [make(c.attributes) for c in composites for make in (short_caption, detailed_caption)]
    assert max(map(len, tokenizers[name](captions)["input_ids"])) <= limit


@pytest.mark.parametrize("name", ["clip-prompts", "t5-prompts"])
def test_a_phrase_of_prompts_is_one_token_and_no_part_of_a_word(tokenizers, name):
    read = tokenizers[name].tokenize
    assert read("A dark red handwritten three slanted left over a photo of a cat.")[1:-1] == [
        "dark red", "handwritten three", "slanted left", "over a", "photo of a cat"
    ]  # fmt: skip
    for other in ("over an astronaut", "photo of a cathedral", "undark red"):
        assert not set(read(other)) & set(tokenizers[name].added_tokens_encoder)


def test_text_that_is_to_be_written_has_no_phrases(tokenizers):
    """BLIP-2 gives back its captions letter by letter."""
    caption = "A dark red handwritten three over a photo of a cat."
    assert tokenizers["t5"].decode(tokenizers["t5"](caption)["input_ids"], skip_special_tokens=True) == caption


@pytest.mark.parametrize("name", BUILDERS)
def test_facts_of_faces_need_few_tokens(tokenizers, name):
    for fact in FACTS:
        assert len(tokenizers[name].tokenize(fact.sentence)) <= len(fact.sentence.split()) + 3


@settings(max_examples=200, deadline=None)
@given(st.text())
@pytest.mark.parametrize("name", ["llama", "base"])
def test_byte_level_tokenizers_give_back_any_text(tokenizers, name, text):
    tokenizer = tokenizers[name]
    specials = set(tokenizer.all_special_tokens)
    if not any(s in text for s in specials):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FFF), min_size=1, max_size=20))
def test_clip_never_ends_a_text_early(tokenizers, text):
    """An unknown piece would become <|endoftext|>; then the rest of the caption is not seen."""
    tokenizer = tokenizers["clip"]
    if "<|" not in text:
        ids = tokenizer(text)["input_ids"]
        assert ids.index(tokenizer.eos_token_id) == len(ids) - 1


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
@settings(max_examples=200, deadline=None)
def test_t5_knows_every_printable_ascii_character(tokenizers, text):
    tokenizer = tokenizers["t5"]
    if not any(s in text for s in tokenizer.all_special_tokens):
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


def test_clip_pads_with_the_end_token_of_highest_id(tokenizers):
    """As released: `CLIPTextModel` pools at the first end token."""
    clip = tokenizers["clip"]
    assert clip.eos_token_id == clip.pad_token_id == len(clip) - 1
    ids = clip("a cat", padding="max_length")["input_ids"]
    assert len(ids) == clip.model_max_length == 24
    assert ids[0] == clip.bos_token_id
    assert set(ids[3:]) == {clip.eos_token_id}


def test_t5_has_the_released_special_ids(tokenizers):
    t5 = tokenizers["t5"]
    assert (t5.pad_token_id, t5.eos_token_id, t5.unk_token_id) == (0, 1, 2)
    assert t5("a cat")["input_ids"][-1] == 1


def test_the_chat_begins_once_and_ends_where_the_assistant_speaks(tokenizers):
    llama = tokenizers["llama"]
    facts = MINIATURE.sentences({name: name == "Digit_1" for name in MINIATURE.columns})
    chat = Request("", "a handwritten one over a plain background", tuple(facts)).chat.messages
    ids = llama.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    assert ids.count(llama.bos_token_id) == 1
    text = llama.decode(ids)
    assert text.endswith("- The digit is a one.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
    assert len(ids) < 0.5 * len(tokenizers["base"].tokenize(text))


@pytest.mark.parametrize("name", BUILDERS)
def test_saving_and_loading_keeps_the_tokens(tokenizers, tmp_path, name):
    from transformers import AutoTokenizer

    text = "A large thick dark red handwritten three slanted left, over a photo of a zebra \u2603!"
    tokenizers[name].save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(text)["input_ids"] == tokenizers[name](text)["input_ids"]
    assert loaded.model_max_length == tokenizers[name].model_max_length


def test_another_process_writes_the_same_bytes(tokenizers, tmp_path, root):
    """Hash maps have another order in every process; the files must not."""
    for name, tokenizer in tokenizers.items():
        tokenizer.save_pretrained(tmp_path / "here" / name)
    code = (
        "import sys; from difflab.miniature.zoo.tokenizers import *\n"
        "made = {'clip': clip_tokenizer(24), 'clip-prompts': clip_tokenizer(24, phrases=True),"
        " 't5': t5_tokenizer(24), 't5-prompts': t5_tokenizer(24, phrases=True),"
        " 'llama': llama_tokenizer(), 'base': base_tokenizer(corpus())}\n"
        "for name, tokenizer in made.items(): tokenizer.save_pretrained(f'{sys.argv[1]}/{name}')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    subprocess.run(command, check=True, cwd=root / "src", capture_output=True)
    here = {p.relative_to(tmp_path / "here"): p.read_bytes() for p in (tmp_path / "here").rglob("*") if p.is_file()}
    there = {p.relative_to(tmp_path / "there"): p.read_bytes() for p in (tmp_path / "there").rglob("*") if p.is_file()}
    assert here == there
