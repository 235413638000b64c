"""Detailed captions: a chat model rewrites the short caption so that it tells all facts of the picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from difflab.captions.batching import left_pad, map_batches
from difflab.captions.chat import clean, messages
from difflab.captions.fact import Attributes
from difflab.captions.facts import Subjective, contradiction_names, contradictions, facts
from difflab.captions.scoring import facts_kept, named_digit
from difflab.files import sha256_bytes
from difflab.params.caption import GenerationParams

VARIANT = "llama3"


@dataclass(frozen=True)
class Request:
    """One picture to describe: its id, its short caption and its facts."""

    id: str
    caption: str
    facts: tuple[str, ...]

    @classmethod
    def of(cls, id: str, caption: str, attributes: Attributes, subjective: Subjective) -> "Request":
        """The request for a picture with these attributes."""
        return cls(id, caption, tuple(facts(attributes, subjective)))

    @property
    def sha256(self) -> str:
        """The hash of what the answer is made from."""
        return sha256_bytes("\n".join([self.caption, *self.facts]).encode())


@dataclass(frozen=True)
class Answer:
    """A detailed caption, and whether it was cut at `max_new_tokens`."""

    caption: str
    truncated: bool


class Rewriter:
    """A causal language model with a chat template, from a `save_pretrained` folder.

    Args:
        folder: model and tokenizer (`zoo.roles.resolve(models/zoo/llama)`).
        device: where the model runs.
        dtype: precision of its weights.
    """

    def __init__(self, folder: str | Path, device: torch.device | str, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True)
        self.model = model.to(device).eval()
        self.device = torch.device(device)
        # Llama 3.1 ends a turn with any of several tokens and has no padding token of its own.
        ends = self.model.generation_config.eos_token_id
        self.ends = {ends} if isinstance(ends, int) else set(ends or [self.tokenizer.eos_token_id])
        pad = self.tokenizer.pad_token_id
        self.pad_token_id = pad if pad is not None else min(self.ends)

    def rewrite(self, requests: Sequence[Request], settings: GenerationParams, seed: int) -> list[Answer]:
        """Answer every request, in batches of similar length, greedily or with randomness keyed by sample id.

        An answer without a sentence is replaced by the short caption.
        """
        prompts = [self._tokens(request) for request in requests]
        items = list(zip(requests, prompts, strict=True))
        return map_batches(
            items,
            [len(p) for p in prompts],
            settings.batch_size,
            lambda batch: self._answer(batch, settings, seed),
        )

    def _tokens(self, request: Request) -> list[int]:
        # The template writes the begin-of-text token itself: tokenising the rendered text would double it.
        # Some templates tell the model today's date unless given one; the answer must not depend on it.
        encoded = self.tokenizer.apply_chat_template(
            messages(request.caption, request.facts),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            date_string="26 Jul 2024",
        )
        return encoded["input_ids"]

    @torch.no_grad()
    def _answer(
        self, batch: Sequence[tuple[Request, list[int]]], settings: GenerationParams, seed: int
    ) -> list[Answer]:
        from difflab.captions.sampling import generation_arguments  # imports transformers

        input_ids, attention_mask = left_pad([prompt for _, prompt in batch], self.pad_token_id)
        output = self.model.generate(
            input_ids=input_ids.to(self.device),
            attention_mask=attention_mask.to(self.device),
            pad_token_id=self.pad_token_id,
            **generation_arguments([request.id for request, _ in batch], seed, settings),
        )
        answers = output[:, input_ids.shape[1] :].tolist()
        return [self._read(request, tokens) for (request, _), tokens in zip(batch, answers, strict=True)]

    def _read(self, request: Request, tokens: list[int]) -> Answer:
        end = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        text = self.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return Answer(clean(text) or request.caption, truncated=end is None)


def answers_frame(requests: Sequence[Request], answers: Sequence[Answer]) -> pd.DataFrame:
    """Rows of a captions table (variant "llama3"), and beside them whether the answer was truncated."""
    return pd.DataFrame(
        {
            "id": [request.id for request in requests],
            "variant": VARIANT,
            "caption": [answer.caption for answer in answers],
            "source_sha256": [request.sha256 for request in requests],
            "truncated": [answer.truncated for answer in answers],
        }
    )


def metrics(
    frame: pd.DataFrame, attributes: Mapping[str, Attributes], subjective: Subjective
) -> dict[str, int | float]:
    """What the captions of `answers_frame` keep of the truth, over all of them.

    Returns:
        n, n_unique; facts, how many were told; facts_kept, the share of them that the captions keep;
        captions_complete, the share of captions that keep all; digit_kept where the attributes name digits;
        truncated, the captions cut at max_new_tokens; contradictory, the rows whose attributes contradict
        themselves, then one count per rule.
    """
    captions = frame.set_index("id")["caption"]
    scores = [facts_kept(caption, attributes[i], subjective) for i, caption in captions.items()]
    kept, total = (sum(column) for column in zip(*scores, strict=True))
    result = {
        "n": len(frame),
        "n_unique": captions.nunique(),
        "facts": total,
        "facts_kept": kept / max(total, 1),
        "captions_complete": sum(own == all_ for own, all_ in scores) / len(scores),
    }
    columns = next(iter(attributes.values()))
    if "Digit_0" in columns:
        right = [attributes[i].get(f"Digit_{named_digit(caption)}", False) for i, caption in captions.items()]
        result["digit_kept"] = sum(right) / len(right)
    found = [contradictions(attributes[i]) for i in captions.index]
    counts = Counter(name for names in found for name in names)
    return {
        **result,
        "truncated": int(frame["truncated"].sum()),
        "contradictory": sum(bool(names) for names in found),
        **{f"contradictory_{name}": counts[name] for name in contradiction_names(columns)},
    }
