"""Rewritten captions: answers depend on the sample alone, and are one clean line."""

import shutil

import pytest
import torch

from difflab.models.language.answers import sentence
from difflab.models.language.chat_model import Reply
from difflab.models.language.rewriter import Answer, Request, Rewriter
from fakes.tiny_rewriter import save_llama, settings


def requests(count: int) -> list[Request]:
    """Chats of very different lengths."""
    return [
        Request(
            f"hq-{i:05d}", "a handwritten one over a plain background", tuple(f"Fact {k} of {i}." for k in range(i % 7))
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("zoo") / "llama")


@pytest.fixture(scope="module")
def rewriter(folder):
    return Rewriter(folder, "cpu", torch.float32)


def test_the_chat_holds_caption_and_facts():
    system, user = Request("a", "a cat", ("It is black.", "It sits.")).chat.messages
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].endswith("\nCaption: a cat\nFacts:\n- It is black.\n- It sits.")


@pytest.mark.parametrize("do_sample", [False, True])
def test_answers_do_not_depend_on_the_batch_or_its_order(rewriter, do_sample):
    """Left padding, length sorting and keyed sampling: alone, in fours, in sixteens, in reverse."""
    asked = requests(16)
    chosen = settings(do_sample=do_sample, temperature=0.8, top_p=0.9)
    together = rewriter.rewrite(asked, chosen.model_copy(update={"batch_size": 16}), seed=0)
    for batch_size in (1, 4):
        other = chosen.model_copy(update={"batch_size": batch_size})
        assert rewriter.rewrite(asked, other, seed=0) == together
    assert rewriter.rewrite(asked[::-1], chosen, seed=0) == together[::-1]
    assert len({answer.caption for answer in together}) > 2


def test_sampling_is_keyed_by_seed_and_id(rewriter):
    asked = [Request(f"hq-{i:05d}", "a handwritten one over a plain background", ()) for i in range(6)]
    sampled = settings(do_sample=True, temperature=3.0)
    first, again, other = (rewriter.rewrite(asked, sampled, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({a.caption for a in first}) > 1  # the same chat, another id
    assert len({a.caption for a in rewriter.rewrite(asked, settings(), seed=0)}) == 1  # greedy


def test_greedy_answers_are_the_most_likely_tokens(rewriter):
    """Against a plain loop without cache, batch or padding; the model's own settings are overruled."""
    (request,) = requests(4)[3:]
    tokens = rewriter._tokens(request.chat)
    start = len(tokens)
    for _ in range(12):
        tokens = [*tokens, int(rewriter.model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax())]
    text = rewriter.tokenizer.decode(tokens[start:], skip_special_tokens=True)
    assert rewriter.rewrite([request], settings(), seed=0)[0].caption == (sentence(text) or request.caption)


def test_the_prompt_begins_with_one_start_token(rewriter):
    tokens = rewriter._tokens(requests(1)[0].chat)
    assert tokens.count(rewriter.tokenizer.bos_token_id) == 1


def test_a_tokenizer_without_padding_token_is_padded_with_an_end_token(folder, tmp_path, rewriter):
    """As released: Llama 3.1 has none."""
    shutil.copytree(folder, tmp_path / "llama")
    rewriter.tokenizer.save_pretrained(tmp_path / "llama")
    config = (tmp_path / "llama" / "tokenizer_config.json").read_text().splitlines()
    kept = "\n".join(line for line in config if '"pad_token"' not in line)
    (tmp_path / "llama" / "tokenizer_config.json").write_text(kept)
    without = Rewriter(tmp_path / "llama", "cpu", torch.float32)
    assert without.tokenizer.pad_token_id is None
    assert without.rewrite(requests(6), settings(), 0) == rewriter.rewrite(requests(6), settings(), 0)


def test_any_of_the_end_tokens_ends_an_answer_and_an_answer_without_one_is_truncated(rewriter):
    word = rewriter.tokenizer("A cat.", add_special_tokens=False)["input_ids"]
    for end in rewriter.ends:
        assert rewriter._read([*word, end, end]) == Reply("A cat.", truncated=False)
    assert len(rewriter.ends) == 2
    assert rewriter._read(word) == Reply("A cat.", truncated=True)


def test_an_answer_without_a_sentence_leaves_the_short_caption(rewriter, monkeypatch):
    end = min(rewriter.ends)
    said = rewriter.tokenizer("A cat.", add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(rewriter, "_answer", lambda prompts, *args: [[end], [*said, end]])
    asked = [Request("a", "a dog", ("It sits.",)), Request("b", "a dog", ())]  # the longest comes first
    expected = [Answer("a dog", truncated=False, unread=True), Answer("A cat.", truncated=False)]
    assert rewriter.rewrite(asked, settings(), seed=0) == expected


def test_the_source_hash_follows_caption_and_facts():
    one = Request("a", "a cat", ("It sits.",))
    assert one.sha256 == Request("b", "a cat", ("It sits.",)).sha256
    assert one.sha256 != Request("a", "a dog", ("It sits.",)).sha256
    assert one.sha256 != Request("a", "a cat", ("It lies.",)).sha256
