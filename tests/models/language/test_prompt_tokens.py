"""A control token that a person spells stays text, in every tokenizer; a conversation is written as its template says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.miniature.zoo.small_gemma import gemma_tokenizer
from difflab.miniature.zoo.tokenizers import base_tokenizer, clip_tokenizer, llama_tokenizer, t5_tokenizer
from difflab.models.language.prompt_tokens import chat_ids, control_tokens, literal

SPELT = (
    "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>", "</s>", "<s>", "<pad>", "<unk>", "<eos>",
    "<bos>", "[INST]", "[/INST]", "<image>", "<|endoftext|>", "<|startoftext|>", "<|begin_of_text|>", "<|eot_id|>",
    "<|start_header_id|>",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from([*SPELT, " ", "three", "a cat", "<", "s>", "é"]), min_size=1, max_size=8).map("".join)


def opt():
    """As of BLIP-2's OPT: byte-level BPE whose end of text, padding and images are <...> tokens."""
    tokenizer = base_tokenizer(["a cat"])
    tokenizer.add_special_tokens({"eos_token": "</s>", "pad_token": "<pad>", "additional_special_tokens": ["<image>"]})
    return tokenizer


MAKERS = {
    "CLIP": lambda: clip_tokenizer(77),
    "CLIP of the miniature": lambda: clip_tokenizer(77, phrases=True),
    "T5": lambda: t5_tokenizer(77),
    "T5 of the miniature": lambda: t5_tokenizer(77, phrases=True),
    "Llama": llama_tokenizer,
    "Llama without chats": lambda: base_tokenizer(["a cat"]),
    "Gemma": gemma_tokenizer,
    "OPT": opt,
}


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request):
    return literal(MAKERS[request.param]())


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_no_token_of_a_text_is_a_control_token(tokenizer, text):
    found = tokenizer(text, add_special_tokens=False)["input_ids"]
    control = set(control_tokens(tokenizer).values()) - ({tokenizer.unk_token_id} if "<unk>" not in text else set())
    assert not control.intersection(found)


@pytest.mark.parametrize("spelt", SPELT)
def test_what_is_spelt_can_be_read_in_the_tokens(tokenizer, spelt):
    written = tokenizer.decode(tokenizer(f"a {spelt} cat", add_special_tokens=False)["input_ids"])
    assert written.replace(" ", "").lower() == f"a{spelt}cat".lower()


@pytest.mark.parametrize("name", MAKERS)
def test_other_texts_have_the_tokens_that_they_had(name):
    texts = [
        "a handwritten three over a photo of coffee",
        "A large red 7, slanted left.",
        "x < y > z [1]",
        "",
        "Café 寿司",
    ]
    plain, prepared = MAKERS[name](), literal(MAKERS[name]())
    assert prepared(texts)["input_ids"] == plain(texts)["input_ids"]


SYSTEM, TITLE = "Be short.", "Title: Soup"
CHAT = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TITLE}]
CHATS = {"Llama": llama_tokenizer, "Gemma": gemma_tokenizer}


@pytest.fixture(params=CHATS)
def chatting(request):
    return CHATS[request.param]()


@settings(max_examples=60, deadline=None)
@given(title=TEXTS)
@pytest.mark.parametrize("name", CHATS)
def test_a_title_adds_no_control_token_to_a_conversation(name, title):
    tokenizer = CHATS[name]()
    control = set(control_tokens(tokenizer).values())
    plain, odd = (
        [t for t in chat_ids(tokenizer, [CHAT[0], {"role": "user", "content": text}]) if t in control]
        for text in ("Soup", f"{title} Soup")
    )
    assert odd == plain


def test_a_conversation_is_what_the_template_makes_of_it(chatting):
    expected = chatting.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert chat_ids(chatting, CHAT) == expected["input_ids"]
    assert chat_ids(chatting, CHAT).count(chatting.bos_token_id) == 1


NO_SYSTEM = "{{ raise_exception('no system turns here') }}"
LOOP = "{% for m in messages %}{% if m['role'] == 'system' %}SYSTEM{% endif %}{{ m['content'] }}{% endfor %}"


@pytest.mark.parametrize("refusal", [NO_SYSTEM, "{% continue %}"], ids=["refused", "dropped"])
def test_without_a_system_turn_its_words_begin_the_users(chatting, refusal):
    chatting.chat_template = LOOP.replace("SYSTEM", refusal)
    assert chatting.decode(chat_ids(chatting, CHAT)) == f"{SYSTEM}\n\n{TITLE}"


def test_contents_may_be_taken_in_parts(chatting):
    chatting.chat_template = (
        "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }}|{% endfor %}{% endfor %}"
    )
    assert chatting.decode(chat_ids(chatting, CHAT)) == f"{SYSTEM}|{TITLE}|"


@pytest.mark.parametrize(("asked", "told"), [("%d %b %Y", "26 Jul 2024"), ("%Y-%m-%d", "2024-07-26"), ("%A", "Friday")])
def test_the_date_is_pinned(chatting, asked, told):
    chatting.chat_template = "{{ strftime_now('" + asked + "') }} " + LOOP.replace("SYSTEM", "")
    assert chatting.decode(chat_ids(chatting, CHAT)).startswith(told)


@pytest.mark.parametrize(
    ("template", "reason"), [(None, "there is none"), ("Hello", "does not show"), (NO_SYSTEM, "no system turns here")]
)
def test_a_template_that_cannot_be_used_is_one_line(chatting, template, reason):
    chatting.chat_template = template
    with pytest.raises(DifflabError, match=rf"chat template cannot be used \(.*{reason}.*\): choose a model"):
        chat_ids(chatting, CHAT)
