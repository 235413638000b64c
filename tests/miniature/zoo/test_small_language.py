"""The miniature's language model: true documents, one token for each of their words, and it learns to read them."""

import math

import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.files import sha256_file
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.vocabulary import named
from difflab.miniature.zoo import small_language
from difflab.training.supervised import fit
from fakes.zoo import language as params


@pytest.fixture(scope="module")
def built():
    return small_language.build(params(), seed=0)


def documents(count: int, each: int) -> list[list[str]]:
    generator = rng.numpy_rng(0, "test")
    return [small_language.document(generator, each) for _ in range(count)]


def test_the_titles_of_a_document_are_different_ones_of_the_picture_that_its_keywords_name():
    for keywords, *lines in documents(100, each=3):
        digit, photo = named(keywords)
        assert 2 <= len(keywords.split()) <= 5
        assert len(set(lines)) == 3
        assert set(lines) <= set(titles(digit, PHOTO_NAMES[photo]))


def test_keywords_come_in_every_number_and_order_and_name_every_picture():
    lines = [keywords for (keywords,) in documents(3000, each=0)]
    assert {len(line.split()) for line in lines} == {2, 3, 4, 5}
    assert {named(line) for line in lines} == {(d, photo) for d in range(10) for photo in range(len(PHOTO_NAMES))}
    first = {line.split()[0] in PHOTO_NAMES for line in lines}
    assert first == {True, False}


def test_each_word_is_one_token_wherever_it_stands(built):
    _, tokenizer = built
    for lines in documents(50, each=4):
        tokens = tokenizer.tokenize("\n".join(lines))
        assert len(tokens) == sum(len(line.split()) for line in lines) + len(lines) - 1


def test_the_tokenizer_is_that_of_no_chat_model(built):
    """As the released one: a start token in front, another one for the end, none to pad with."""
    model, tokenizer = built
    ids = tokenizer("Three over Coffee")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == model.config.bos_token_id
    assert tokenizer.eos_token_id == model.config.eos_token_id
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.pad_token is None
    assert tokenizer.chat_template is None
    assert tokenizer.decode(tokenizer("Crème brûlée, 3×")["input_ids"][1:]) == "Crème brûlée, 3×"


def test_model_and_loss_belong_to_the_seed(built):
    model, tokenizer = built
    again, _ = small_language.build(params(), seed=0)
    other, _ = small_language.build(params(), seed=1)
    embeddings = [m.get_input_embeddings().weight for m in (model, again, other)]
    assert torch.equal(*embeddings[:2])
    assert not torch.equal(embeddings[0], embeddings[2])
    losses = [small_language.batch_loss(model, tokenizer, params(), 0)(step)["loss"] for step in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    assert losses[0].item() == pytest.approx(math.log(len(tokenizer)), rel=0.1)


def test_it_learns_and_reads_back(tmp_path):
    model, tokenizer = small_language.build(params(), seed=0)
    rows = fit(model, small_language.batch_loss(model, tokenizer, params(), 0), params().training, scratch=tmp_path)
    assert rows[-1]["train_loss"] < 0.8 * rows[0]["train_loss"]
    for name in "ab":
        model.eval().save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    scores = small_language.evaluate(tmp_path / "a", 3, 0, torch.device("cpu"))
    assert scores["n"] == 3
    assert 0 <= scores["faithful"] <= 1
