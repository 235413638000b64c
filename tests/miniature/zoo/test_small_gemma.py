"""The miniature's Gemma: its examples are true, its loss looks at answers only, and it learns."""

import pytest
import torch
from torch.nn import functional

from difflab.core.base import rng
from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.digit_titles import titles
from difflab.miniature.words.vocabulary import named
from difflab.miniature.zoo import small_gemma
from difflab.miniature.zoo.gemma_tokenizer import END_OF_TURN
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
    ((prompt, answer),) = small_gemma._tokens(tokenizer, [example])
    text = tokenizer.decode(prompt)
    assert text.startswith("<bos><start_of_turn>user\n")
    assert all(turn["content"] in text for turn in messages(example.title))
    assert text.endswith("<end_of_turn>\n<start_of_turn>model\n")
    assert tokenizer.decode(answer) == example.text + END_OF_TURN


def test_the_loss_is_the_mean_over_answer_tokens_of_unpadded_examples(built):
    """Against a plain loop, one example at a time, with all logits."""
    model, tokenizer = built
    values = small_gemma.batch_loss(model, tokenizer, params(), seed=0, step=3)
    generator = rng.numpy_rng(0, "gemma lessons", 3)
    losses = []
    for prompt, answer in small_gemma._tokens(tokenizer, [small_gemma.example(generator) for _ in range(4)]):
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
    before = small_gemma.batch_loss(model, tokenizer, chosen, 0, 10**6)["loss"].item()
    fit(
        model, lambda s: small_gemma.batch_loss(model, tokenizer, chosen, 0, s), chosen.training, scratch=tmp_path / "s"
    )
    after = small_gemma.batch_loss(model, tokenizer, chosen, 0, 10**6)["loss"].item()
    assert after < 0.6 * before
    model.eval().save_pretrained(tmp_path / "gemma")
    tokenizer.save_pretrained(tmp_path / "gemma")
    scores = evaluate(tmp_path / "gemma", 4, 0, torch.device("cpu"))
    assert list(scores) == ["n", "accepted", "faithful", "distinct"]
    assert scores["n"] == 4
    assert all(0 <= scores[name] <= 1 for name in ("accepted", "faithful", "distinct"))
