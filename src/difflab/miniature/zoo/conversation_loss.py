"""The loss of a causal language model on the answers of conversations alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_IGNORED = -100


def example_tokens(
    tokenizer: "PreTrainedTokenizerBase", chats: list[list[dict[str, str]]], answers: list[str], end_token_id: int
) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each chat as token ids: up to where the model is to speak, and up to the end token."""
    prompts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=True, return_dict=True)
    said = tokenizer(answers, add_special_tokens=False)["input_ids"]
    return [(p, [*a, end_token_id]) for p, a in zip(prompts["input_ids"], said, strict=True)]


def answer_loss(
    model: "PreTrainedModel", rows: Sequence[tuple[list[int], list[int]]], pad_token_id: int
) -> dict[str, Tensor]:
    """Cross-entropy of the answers' tokens and the share of them that is right.

    Args:
        rows: prompt and answer of each example, the answer with its end token.
    """
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    input_ids = torch.full((len(rows), longest), pad_token_id)
    labels = torch.full((len(rows), longest), _IGNORED)
    for i, (prompt, answer) in enumerate(rows):
        input_ids[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels[i, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    # Padding on the right is invisible to causal attention; logits are needed where an answer token follows.
    hidden = model.model(input_ids=input_ids.to(model.device)).last_hidden_state[:, :-1]
    targets = labels[:, 1:].to(model.device)
    asked = targets != _IGNORED
    logits, targets = model.lm_head(hidden[asked]), targets[asked]
    right = (logits.argmax(-1) == targets).float().mean()
    return {"loss": functional.cross_entropy(logits.float(), targets), "token_accuracy": right}
