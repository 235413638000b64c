"""A chat model answers each conversation by itself, whatever it is batched with."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.miniature.zoo import small_gemma, small_rewriter
from difflab.miniature.zoo.tokenizers import llama_tokenizer
from difflab.models.language.chat_model import Chat, ChatModel, Reply, left_pad
from difflab.models.params import GenerationParams
from fakes import zoo

WINDOW = 32  # of the miniature's Gemma


def settings(**changes) -> GenerationParams:
    values = {"batch_size": 4, "max_new_tokens": 12, "do_sample": False, "temperature": 1.0, "top_p": 1.0}
    return GenerationParams(**{**values, **changes})


def chats(count: int) -> list[Chat]:
    """Conversations of very different lengths."""
    system = {"role": "system", "content": "Be short."}
    return [
        Chat(f"c-{i:02d}", [system, {"role": "user", "content": "Three over Coffee. " * (1 + i % 9)}])
        for i in range(count)
    ]


@pytest.fixture(scope="module", params=["llama", "gemma"])
def model(request, tmp_path_factory):
    """Untrained, with weights so large that answers differ and rounding decides nothing."""
    folder = tmp_path_factory.mktemp("zoo") / request.param
    if request.param == "llama":
        built, tokenizer = small_rewriter.build(zoo.llama(num_hidden_layers=2), seed=0)
    else:
        built, tokenizer = small_gemma.build(zoo.gemma(), seed=0)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    built.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ChatModel(folder, "cpu", torch.float32)


@pytest.mark.parametrize("do_sample", [False, True])
def test_answers_do_not_depend_on_the_batch_or_its_order(model, do_sample):
    asked = chats(18)
    assert max(len(model._tokens(chat)) for chat in asked) > WINDOW
    chosen = settings(do_sample=do_sample, temperature=0.8, top_p=0.9)
    alone = model.answer(asked, chosen.model_copy(update={"batch_size": 1}), seed=0)
    assert model.answer(asked, chosen.model_copy(update={"batch_size": 18}), seed=0) == alone
    assert model.answer(asked[::-1], chosen, seed=0) == alone[::-1]
    assert len({reply.text for reply in alone}) > 2


@pytest.mark.parametrize("own", [{"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 3}], ids=["repeated", "n-grams"])
def test_penalties_of_a_model_without_a_padding_token_change_no_answer(model, tmp_path, own):
    """They count what pads a shorter conversation, which is then the end of a turn."""
    built, tokenizer = copy.deepcopy(model.model), copy.deepcopy(model.tokenizer)
    tokenizer.pad_token = built.generation_config.pad_token_id = None
    built.generation_config.update(**own)
    built.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = ChatModel(tmp_path, "cpu", torch.float32)
    expected = model.answer(chats(18), settings(batch_size=1), seed=0)
    for batch_size in (1, 18):
        assert loaded.answer(chats(18), settings(batch_size=batch_size), seed=0) == expected


def test_sampling_is_keyed_by_seed_and_id(model):
    asked = [Chat(f"c-{i}", chats(1)[0].messages) for i in range(6)]
    sampled = settings(do_sample=True, temperature=3.0)
    first, again, other = (model.answer(asked, sampled, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({reply.text for reply in first}) > 1  # the same words, another id
    assert len({reply.text for reply in model.answer(asked, settings(), seed=0)}) == 1  # greedy


def test_greedy_answers_are_the_most_likely_tokens(model):
    """Against a plain loop without cache, batch or padding."""
    chat = chats(9)[8]
    tokens = model._tokens(chat)
    start = len(tokens)
    while len(tokens) < start + 12 and not set(tokens[start:]) & model.ends:
        tokens.append(int(model.model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    (reply,) = model.answer([chat], settings(), seed=0)
    assert reply == model._read(tokens[start:])


def test_the_prompt_begins_with_one_start_token_and_ends_where_the_model_speaks(model):
    chat = chats(1)[0]
    tokens = model._tokens(chat)
    text = model.tokenizer.decode(tokens)
    assert tokens.count(model.tokenizer.bos_token_id) == 1
    assert tokens[0] == model.tokenizer.bos_token_id
    assert "Be short." in text
    assert text.endswith(("<start_of_turn>model\n", "<|start_header_id|>assistant<|end_header_id|>\n\n"))


def test_any_end_token_ends_an_answer_and_an_answer_without_one_is_truncated(model):
    words = model.tokenizer("Three over Coffee", add_special_tokens=False)["input_ids"]
    for end in model.ends:
        assert model._read([*words, end, *words]) == Reply("Three over Coffee", truncated=False)
    assert model._read(words) == Reply("Three over Coffee", truncated=True)


def test_no_conversation_has_no_answer(model):
    assert model.answer([], settings(), seed=0) == []


@given(st.lists(st.lists(st.integers(5, 99), max_size=9), min_size=1, max_size=6))
def test_left_padding_is_undone_by_the_mask(rows):
    input_ids, attention_mask = left_pad(rows, pad_token_id=0)
    assert input_ids.shape == attention_mask.shape == (len(rows), max(map(len, rows)))
    assert [ids[mask == 1].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)] == rows
    assert (attention_mask.diff(dim=1) >= 0).all()  # padding first, then tokens
    assert (input_ids[attention_mask == 0] == 0).all()


def test_left_padding_equals_the_tokenizers():
    tokenizer = llama_tokenizer()
    texts = ["a three", "a handwritten seven over a photo of coffee", ""]
    expected = tokenizer(texts, padding=True, return_tensors="pt")
    input_ids, attention_mask = left_pad([tokenizer(t)["input_ids"] for t in texts], tokenizer.pad_token_id)
    assert torch.equal(input_ids, expected.input_ids)
    assert torch.equal(attention_mask, expected.attention_mask)
