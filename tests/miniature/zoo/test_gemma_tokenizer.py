"""The tokenizer of the miniature's Gemma loses nothing, keeps prompts short, and is the same bytes every time."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.miniature.zoo.gemma_tokenizer import END_OF_TURN, gemma_tokenizer, words
from difflab.models.title_variations import messages


@pytest.fixture(scope="module")
def tokenizer():
    return gemma_tokenizer()


def test_every_word_of_a_title_is_one_token(tokenizer):
    for word in words():
        assert len(tokenizer.tokenize(f"Title {word}")) == len(tokenizer.tokenize("Title")) + 1, word
    prompt = tokenizer.apply_chat_template(
        messages("A Three on Coffee"), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    assert len(prompt["input_ids"]) < 16


def test_special_tokens_have_the_released_ids(tokenizer):
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, 2)
    assert tokenizer.convert_tokens_to_ids(END_OF_TURN) != tokenizer.unk_token_id


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="▁", exclude_categories=["Cs"])))
def test_the_tokenizer_gives_back_any_text(tokenizer, text):
    if "<" not in text:
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_another_process_writes_the_same_bytes(tokenizer, tmp_path, root):
    """Hash maps have another order in every process; the files must not."""
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path / "here")
    code = "import sys; from difflab.miniature.zoo.gemma_tokenizer import *; gemma_tokenizer().save_pretrained(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    subprocess.run(command, check=True, cwd=root / "src", capture_output=True)
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes()
    loaded = AutoTokenizer.from_pretrained(tmp_path / "there")
    text = "1. Three over a Zebra \u2603\n2. A Cat"
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.model_max_length == tokenizer.model_max_length
