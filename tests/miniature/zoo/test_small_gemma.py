"""The miniature's Gemma: its examples are true, its loss looks at answers only, and it learns."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from difflab.core.base import rng
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.vocabulary import named
from difflab.miniature.zoo import small_gemma
from difflab.miniature.zoo.small_gemma import END_OF_TURN, gemma_tokenizer, words
from difflab.models.title_variations import messages, parse
from difflab.training.supervised import fit
from fakes.zoo import gemma as params


@pytest.fixture(scope="module")
def built():
    return small_gemma.build(params(), seed=0)


def examples(count: int, held_out: bool) -> list[small_gemma.Example]:
    generator = rng.numpy_rng(0, "test")
    return [small_gemma.example(generator, held_out) for _ in range(count)]


def test_every_pair_of_digit_and_photograph_is_taught_or_held_out():
    taught, held_out = set(small_gemma.pairs(held_out=False)), set(small_gemma.pairs(held_out=True))
    assert not taught & held_out
    assert len(taught | held_out) == 120
    assert 5 < len(held_out) < 30
    assert {digit for digit, _ in taught} == set(range(10))
    assert len({photo for _, photo in taught}) == 12


@pytest.mark.parametrize("held_out", [False, True])
def test_examples_are_three_faithful_titles_that_the_parser_accepts(held_out):
    for example in examples(200, held_out):
        digit, photo = named(example.title)
        pair = (digit, PHOTO_NAMES[photo])
        assert pair in small_gemma.pairs(held_out)
        assert set(example.answer) <= set(titles(*pair))
        assert parse(example.text, example.title, max_length=100) == example.answer


def test_every_title_occurs_as_source_and_in_answers():
    seen = examples(4000, held_out=False)
    forms = {title for pair in small_gemma.pairs(held_out=False) for title in titles(*pair)}
    assert len({example.title for example in seen}) > 0.85 * len(forms)  # 1 - exp(-4000 / 1712) = 0.90
    assert {title for example in seen for title in example.answer} <= forms


def test_an_example_is_the_stage_s_chat_and_ends_with_the_end_of_turn(built):
    _, tokenizer = built
    (example,) = examples(1, held_out=False)
    ((prompt, answer),) = small_gemma.tokens(tokenizer, [example])
    text = tokenizer.decode(prompt)
    assert text.startswith("<bos><start_of_turn>user\n")
    assert all(turn["content"] in text for turn in messages(example.title))
    assert text.endswith("<end_of_turn>\n<start_of_turn>model\n")
    assert tokenizer.decode(answer) == example.text + END_OF_TURN


def test_the_loss_is_the_mean_over_answer_tokens_of_unpadded_examples(built):
    """Against a plain loop, one example at a time, with all logits."""
    model, tokenizer = built
    values = small_gemma.batch_loss(model, tokenizer, params(), 0)(3)
    generator = rng.numpy_rng(0, "gemma lessons", 3)
    losses = []
    for prompt, answer in small_gemma.tokens(tokenizer, [small_gemma.example(generator) for _ in range(4)]):
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
        losses += functional.cross_entropy(
            logits[len(prompt) - 1 : -1], torch.tensor(answer), reduction="none"
        ).tolist()
    assert values["loss"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_weights_depend_on_the_seed_alone():
    states = []
    for seed in (0, 0, 1):
        torch.rand(1)
        states.append(small_gemma.build(params(), seed)[0].state_dict()["model.embed_tokens.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_it_learns_and_is_scored_on_held_out_pairs(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    from stages.miniature.zoo_gemma import evaluate

    chosen = params()
    model, tokenizer = small_gemma.build(chosen, seed=0)
    before = small_gemma.batch_loss(model, tokenizer, chosen, 0)(10**6)["loss"].item()
    fit(model, small_gemma.batch_loss(model, tokenizer, chosen, 0), chosen.training, scratch=tmp_path / "s")
    after = small_gemma.batch_loss(model, tokenizer, chosen, 0)(10**6)["loss"].item()
    assert after < 0.6 * before
    model.eval().save_pretrained(tmp_path / "gemma")
    tokenizer.save_pretrained(tmp_path / "gemma")
    scores = evaluate(tmp_path / "gemma", 4, 0, torch.device("cpu"))
    assert list(scores) == ["n", "accepted", "faithful", "distinct"]
    assert scores["n"] == 4
    assert all(0 <= scores[name] <= 1 for name in ("accepted", "faithful", "distinct"))


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
    code = "import sys; from difflab.miniature.zoo.small_gemma import *; gemma_tokenizer().save_pretrained(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    subprocess.run(command, check=True, cwd=root / "src", capture_output=True)
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes()
    loaded = AutoTokenizer.from_pretrained(tmp_path / "there")
    text = "1. Three over a Zebra \u2603\n2. A Cat"
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.model_max_length == tokenizer.model_max_length
