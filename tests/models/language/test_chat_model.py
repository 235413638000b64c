"""A chat model answers each conversation by itself, whatever it is batched with."""

import pytest
import torch

from difflab.miniature.params.text_models import ZooGemmaParams, ZooLlamaParams
from difflab.miniature.zoo import small_gemma, small_rewriter
from difflab.models.language.chat_model import Chat, ChatModel, Reply
from difflab.models.params import GenerationParams
from difflab.training.params import FitParams

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
    training = FitParams(
        steps=1, batch_size=1, learning_rate=1e-3, weight_decay=0, warmup_steps=0, max_grad_norm=1,
        checkpoint_interval=1, log_interval=1,
    )  # fmt: skip
    values = {"hub": None, "hidden_size": 32, "num_hidden_layers": 2, "evaluated": 1, "training": training}
    if request.param == "llama":
        built, tokenizer = small_rewriter.build(ZooLlamaParams(wrong_caption=0, **values), seed=0)
    else:
        built, tokenizer = small_gemma.build(ZooGemmaParams(**values), seed=0)
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
    assert reply == model._read(chat, tokens[start:])


def test_the_prompt_begins_with_one_start_token_and_ends_where_the_model_speaks(model):
    chat = chats(1)[0]
    tokens = model._tokens(chat)
    text = model.tokenizer.decode(tokens)
    assert tokens.count(model.tokenizer.bos_token_id) == 1
    assert tokens[0] == model.tokenizer.bos_token_id
    assert "Be short." in text
    assert text.endswith(("<start_of_turn>model\n", "<|start_header_id|>assistant<|end_header_id|>\n\n"))


def test_any_end_token_ends_an_answer_and_an_answer_without_one_is_truncated(model):
    chat = chats(1)[0]
    words = model.tokenizer("Three over Coffee", add_special_tokens=False)["input_ids"]
    for end in model.ends:
        assert model._read(chat, [*words, end, *words]) == Reply("Three over Coffee", truncated=False)
    assert model._read(chat, words) == Reply("Three over Coffee", truncated=True)


def test_no_conversation_has_no_answer(model):
    assert model.answer([], settings(), seed=0) == []
