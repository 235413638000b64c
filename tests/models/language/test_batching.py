"""Length-sorted batches lose nothing, and left padding is what the tokenizers do."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.models.language.batching import left_pad, length_sorted, map_batches

LENGTHS = st.lists(st.integers(0, 50), max_size=60)
SIZES = st.integers(1, 20)


@given(LENGTHS, SIZES)
def test_every_position_occurs_once_in_full_batches(lengths, batch_size):
    batches = length_sorted(lengths, batch_size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(1 <= len(batch) <= batch_size for batch in batches)


@given(LENGTHS, SIZES)
def test_the_longest_come_first_and_ties_keep_their_order(lengths, batch_size):
    order = [i for batch in length_sorted(lengths, batch_size) for i in batch]
    assert all(lengths[a] > lengths[b] or (lengths[a] == lengths[b] and a < b) for a, b in pairwise(order))


@given(st.lists(st.text(max_size=12), max_size=40), SIZES)
def test_results_come_back_in_the_order_of_the_items(items, batch_size):
    seen = []

    def work(batch):
        seen.append(len(batch))
        return [text.upper() for text in batch]

    assert map_batches(items, [len(t) for t in items], batch_size, work) == [text.upper() for text in items]
    assert sum(seen) == len(items)


@given(st.lists(st.lists(st.integers(5, 99), max_size=9), min_size=1, max_size=6))
def test_left_padding_is_undone_by_the_mask(rows):
    input_ids, attention_mask = left_pad(rows, pad_token_id=0)
    assert input_ids.shape == attention_mask.shape == (len(rows), max(map(len, rows)))
    assert [ids[mask == 1].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)] == rows
    assert (attention_mask.diff(dim=1) >= 0).all()  # padding first, then tokens
    assert (input_ids[attention_mask == 0] == 0).all()


def test_left_padding_equals_the_tokenizers():
    from difflab.miniature.zoo.tokenizers import llama_tokenizer

    tokenizer = llama_tokenizer()
    texts = ["a three", "a handwritten seven over a photo of coffee", ""]
    expected = tokenizer(texts, padding=True, return_tensors="pt")
    input_ids, attention_mask = left_pad([tokenizer(t)["input_ids"] for t in texts], tokenizer.pad_token_id)
    assert torch.equal(input_ids, expected.input_ids)
    assert torch.equal(attention_mask, expected.attention_mask)
