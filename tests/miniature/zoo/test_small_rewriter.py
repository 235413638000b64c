"""The miniature's Llama: its examples are true, its loss looks at answers only, and it learns."""

import itertools

import pytest
import torch
from torch.nn import functional

from difflab.core.base import rng
from difflab.miniature.data.blend import ATTRIBUTES
from difflab.miniature.data.templates import detailed_caption
from difflab.miniature.data.vocabulary import DIGIT, MINIATURE, PHOTO_WORDS
from difflab.miniature.zoo import small_rewriter
from fakes.zoo import llama as params


@pytest.fixture(scope="module")
def built():
    return small_rewriter.build(params(), seed=0)


def combinations(count: int, held_out: bool) -> list[dict[str, bool]]:
    generator = rng.numpy_rng(0, "test")
    return [small_rewriter.combination(generator, held_out) for _ in range(count)]


def test_combinations_have_the_columns_of_the_miniature_and_no_contradiction():
    for attributes in combinations(200, held_out=False):
        assert set(attributes) == set(ATTRIBUTES)
        assert MINIATURE.contradicted(attributes) == []


def test_every_attribute_occurs():
    seen = {name for attributes in combinations(500, held_out=False) for name, value in attributes.items() if value}
    assert seen == set(ATTRIBUTES)


def test_held_out_combinations_are_never_taught():
    def rows(held_out: bool) -> set[frozenset[str]]:
        return {frozenset(n for n, v in a.items() if v) for a in combinations(2000, held_out)}

    assert not rows(True) & rows(False)


def test_the_facts_of_an_example_are_true_and_the_caption_wrong_as_often_as_asked():
    generator = rng.numpy_rng(0, "test")
    examples = [small_rewriter.example(generator, wrong_caption=0.5) for _ in range(600)]
    assert all(list(request.facts) == MINIATURE.sentences(attributes) for request, attributes in examples)
    wrong = [MINIATURE.facts_kept(request.caption, attributes)[0] < 2 for request, attributes in examples]
    # Of the wrong half two kinds in three replace the digit (9 in 10 differ), two the photograph (11 in 12).
    assert 0.38 < sum(wrong) / len(wrong) < 0.56
    right = [small_rewriter.example(generator, wrong_caption=0.0) for _ in range(50)]
    assert all(DIGIT.named(request.caption) == DIGIT.of(attributes) for request, attributes in right)


def test_an_example_ends_with_the_true_sentence(built):
    _, tokenizer = built
    example = small_rewriter.example(rng.numpy_rng(0, "test"), wrong_caption=1.0)
    ((prompt, answer),) = small_rewriter.tokens(tokenizer, [example])
    assert tokenizer.decode(prompt).endswith("assistant<|end_header_id|>\n\n")
    assert tokenizer.decode(answer) == detailed_caption(example[1]) + "<|eot_id|>"


def test_the_loss_is_the_mean_over_answer_tokens_of_unpadded_examples(built):
    """Against a plain loop, one example at a time, with all logits."""
    model, tokenizer = built
    settings = params()
    values = small_rewriter.batch_loss(model, tokenizer, settings, 0)(3)
    generator = rng.numpy_rng(0, "llama lessons", 3)
    examples = [small_rewriter.example(generator, settings.wrong_caption) for _ in range(settings.training.batch_size)]
    losses = []
    for prompt, answer in small_rewriter.tokens(tokenizer, examples):
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
        losses += functional.cross_entropy(
            logits[len(prompt) - 1 : -1], torch.tensor(answer), reduction="none"
        ).tolist()
    assert values["loss"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_batches_are_keyed_by_the_step(built):
    model, tokenizer = built
    first, again, other = (small_rewriter.batch_loss(model, tokenizer, params(), 0)(step)["loss"] for step in (1, 1, 2))
    assert first == again
    assert first != other


def test_weights_depend_on_the_seed_alone():
    states = []
    for seed in (0, 0, 1):
        torch.rand(1)
        states.append(small_rewriter.build(params(), seed)[0].state_dict()["model.embed_tokens.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_it_learns_and_is_scored_on_held_out_combinations(tmp_path):
    from difflab.training.supervised import fit

    settings = params()
    model, tokenizer = small_rewriter.build(settings, seed=0)
    before = small_rewriter.batch_loss(model, tokenizer, settings, 0)(10**6)["loss"].item()
    fit(model, small_rewriter.batch_loss(model, tokenizer, settings, 0), settings.training, scratch=tmp_path / "s")
    after = small_rewriter.batch_loss(model, tokenizer, settings, 0)(10**6)["loss"].item()
    assert after < 0.7 * before
    model.eval().save_pretrained(tmp_path / "llama")
    tokenizer.save_pretrained(tmp_path / "llama")
    scores = small_rewriter.evaluate(tmp_path / "llama", 4, 0, torch.device("cpu"))
    assert list(scores) == ["n", "facts_kept", "digit_kept", "exact"]
    assert all(0 <= value <= 4 for value in scores.values())


def test_photographs_in_examples_are_those_of_the_captions():
    names = {n.removeprefix("Photo_") for n in itertools.chain(*combinations(1, False)) if n.startswith("Photo_")}
    assert names == set(PHOTO_WORDS)
