"""What of `peft.LoraConfig` says the scale of each layer's update."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from difflab.models.adapters.updates import Update

_UNSUPPORTED = {
    **{"use_dora": "DoRA", "use_qalora": "QALoRA", "lora_bias": "biases", "modules_to_save": "whole modules"},
    **{"alora_invocation_tokens": "activated LoRA", "layer_replication": "replicated layers"},
}

_CHANGE_THE_BASE = {"pissa": "PiSSA", "olora": "OLoRA", "corda": "CorDA", "loftq": "LoftQ"}  # PEFT's init_lora_weights


def config(updates: Mapping[str, "Update"]) -> dict[str, Any]:
    """Rank, alpha and targets for the updates of one model; layers that differ from most have patterns of their own.

    The names go without the prefix `text_model`: PEFT compares the ends of names, so that they fit a CLIP encoder with
    and without it.
    """
    modules = {name.removeprefix("text_model."): update for name, update in updates.items()}
    rank, alpha = (Counter(values).most_common(1)[0][0] for values in zip(*map(_facts, modules.values()), strict=True))
    made: dict[str, Any] = {"r": rank, "lora_alpha": alpha, "target_modules": sorted(modules)}
    if ranks := {re.escape(name): part.rank for name, part in modules.items() if part.rank != rank}:
        made["rank_pattern"] = ranks
    if alphas := {re.escape(name): part.alpha for name, part in modules.items() if part.alpha != alpha}:
        made["alpha_pattern"] = alphas
    return made


def _facts(update: "Update") -> tuple[int, float]:
    return update.rank, update.alpha


def rank_of_layer(told: Mapping[str, Any], module: str) -> int | None:
    """The rank that a configuration gives to a layer; None where it says nothing."""
    return _of(told.get("rank_pattern"), module, told.get("r"))


def alpha_of_layer(told: Mapping[str, Any], module: str, rank: int) -> float:
    """The alpha that counts as `alpha / rank`; the rank where a configuration says none."""
    alpha = _of(told.get("alpha_pattern"), module, told.get("lora_alpha", rank))
    if not isinstance(alpha, int | float) or isinstance(alpha, bool):
        return math.nan  # refused where the update is made
    return alpha * math.sqrt(rank) if told.get("use_rslora") else float(alpha)


def unsupported(told: Mapping[str, Any]) -> str:
    """What a configuration asks for that is no plain LoRA, by name; empty where there is nothing."""
    kind, start = told.get("peft_type", "LORA"), str(told.get("init_lora_weights")).lower()
    if kind != "LORA":
        return str(kind)
    changed = (f"{name}, which changes the base too" for key, name in _CHANGE_THE_BASE.items() if start.startswith(key))
    return next(changed, next((name for key, name in _UNSUPPORTED.items() if told.get(key)), ""))


def _of(patterns: object, module: str, default: Any) -> Any:
    """The value whose pattern fits the end of a name, as `peft.utils.other.get_pattern_key` looks it up."""
    known = patterns if isinstance(patterns, dict) else {}
    return next((value for key, value in known.items() if re.match(rf"(.*\.)?({key})$", module)), default)
