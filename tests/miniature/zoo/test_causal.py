"""The loss of a example looks at its answer alone."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from difflab.miniature.zoo.causal import answer_loss, example_tokens
from difflab.miniature.zoo.tokenizers import llama_tokenizer

PAD, SIZE = 0, 7


class Follower(nn.Module):
    """A language model that expects every token to be followed by the next higher one, with a known certainty."""

    device = torch.device("cpu")

    def model(self, input_ids):
        scores = 2.0 * nn.functional.one_hot((input_ids + 1) % SIZE, SIZE)
        return SimpleNamespace(last_hidden_state=scores)

    def lm_head(self, hidden):
        return hidden


def expected(right: int, wrong: int) -> float:
    """Mean cross-entropy where the right token has score 2 and the others 0, or the other way round."""
    normaliser = torch.log(torch.exp(torch.tensor(2.0)) + SIZE - 1).item()
    return (right * (normaliser - 2) + wrong * normaliser) / (right + wrong)


def test_the_loss_is_the_mean_over_the_tokens_of_all_answers():
    rows = [([5, 5, 1], [2, 3, 4]), ([1], [2, 2]), ([3, 3, 3, 3, 3], [4])]  # one of six does not follow
    values = answer_loss(Follower(), rows, PAD)
    assert values["loss"].item() == pytest.approx(expected(right=5, wrong=1))
    assert values["token_accuracy"].item() == pytest.approx(5 / 6)


def test_prompt_and_padding_do_not_count():
    alone = answer_loss(Follower(), [([4], [5, 6])], PAD)
    assert answer_loss(Follower(), [([1, 1, 1, 4], [5, 6])], PAD) == alone
    assert answer_loss(Follower(), [([4], [5, 6]), ([1, 1, 1, 1, 4], [5, 6])], PAD) == alone


def test_prompts_end_where_the_model_speaks_and_answers_with_the_end_token():
    tokenizer = llama_tokenizer()
    chats = [[{"role": "user", "content": text}] for text in ("A man.", "A woman smiling.")]
    rows = example_tokens(tokenizer, chats, ["A face.", "A smiling face."], tokenizer.eos_token_id)
    header = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    assert all(tokenizer.decode(prompt).endswith(header) for prompt, _ in rows)
    assert [tokenizer.decode(answer) for _, answer in rows] == ["A face.<|eot_id|>", "A smiling face.<|eot_id|>"]
