"""What the report says of attention: sentences, a table, and a figure of the scores of `attention_maps`."""

import re

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from difflab.report.tables import Numbers, interval, table, value
from difflab.sd3.artifacts.cells import ADAPTERS, FINE_TUNED, PRETRAINED

_PERCENT, _SHARE, _POINTS = value(1, 100, " %"), value(2), value(1, 100)
_NAMES = {PRETRAINED: "base", "minus": "fine-tuned, minus", "zero": "fine-tuned, zero", "plus": "fine-tuned, plus"}
_COLUMNS = {
    "points right": ("pointing_accuracy", _PERCENT),
    "on another picture's": ("others_accuracy", _PERCENT),
    "overlap (IoU)": ("iou", _SHARE),
    "clusters (ARI)": ("ari", _SHARE),
}


def parts(found: Numbers) -> list[str]:
    """The parts of pictures that were scored."""
    return [name.removesuffix("_best_block") for name in found if name.endswith("_best_block")]


def sentences(found: Numbers) -> list[str]:
    """Does the word look at its thing, better than without a network, and does fine-tuning change it?"""
    said = []
    for part in parts(found):
        block, key = found[f"{part}_best_block"], "{}_{}_pointing_accuracy"
        tuned = ", ".join(_PERCENT(found, key.format(part, model)) for model in FINE_TUNED)
        said.append(
            f"**The word for the {part} attends to it** in block {block:g}: the patch that it reads most shows it in "
            f"{_PERCENT(found, key.format(part, PRETRAINED))} of pictures before and {tuned} after the three fine-tunings; "
            f"a patch at random in {_PERCENT(found, key.format(part, 'chance'))}, the mean mask of other pictures "
            f"in {_PERCENT(found, key.format(part, 'prior'))}."
        )
        changes = {model: interval(found, f"{part}_{model}_pointing_accuracy_change") for model in FINE_TUNED}
        if all(changes.values()):
            clear = [model for model, ends in changes.items() if ends and not ends[0] <= 0 <= ends[1]]
            points = ", ".join(_POINTS(found, f"{part}_{model}_pointing_accuracy_change") for model in FINE_TUNED)
            known = f"clear for {', '.join(clear)}" if clear else "not clear of zero for any"
            said.append(
                f"**What fine-tuning changes in that** is {points} percentage points ({', '.join(FINE_TUNED)}): {known}."
            )
    return said


def scores_table(found: Numbers) -> str:
    """Every model in every block, and what is reached without a network; empty where nothing was scored."""
    rows = []
    for part in parts(found):
        for model in ADAPTERS:
            for block in _blocks(found, part, model):
                mark = " (chosen)" if block == found[f"{part}_best_block"] else ""
                keys = {c: (f"{part}_{model}_block_{block}_{m}", show) for c, (m, show) in _COLUMNS.items()}
                rows.append([part, _NAMES[model], f"{block}{mark}", *(show(found, key) for key, show in keys.values())])
        for other, name in (("chance", "a patch at random"), ("prior", "mean mask of other pictures")):
            shown = (show(found, f"{part}_{other}_{m}") for m, show in _COLUMNS.values())
            rows.append([part, name, "–", *shown])
    return table(["part", "model", "block", *_COLUMNS], rows) if rows else ""


def _blocks(found: Numbers, part: str, model: str) -> list[int]:
    pattern = re.compile(rf"{part}_{model}_block_(\d+)_pointing_accuracy")
    return sorted(int(match[1]) for name in found if (match := pattern.fullmatch(name)))


def figure(found: Numbers, rows: pd.DataFrame, colours: dict[str, str]) -> Figure:
    """Pointing accuracy of the first part by block with 95 % intervals, and in the chosen block by noise.

    Args:
        rows: plots/attention_maps.csv.
        colours: by model.
    """
    part = parts(found)[0]
    made, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained", sharey=True)
    for number, model in enumerate(ADAPTERS):
        for block in _blocks(found, part, model):
            key = f"{part}_{model}_block_{block}_pointing_accuracy"
            low, high = interval(found, key) or (found[key], found[key])
            ends = [[100 * (found[key] - low)], [100 * (high - found[key])]]
            place = block + 0.15 * (number - 1.5)
            label = _NAMES[model] if not block else None
            left.errorbar(place, 100 * found[key], ends, fmt="o", color=colours[model], capsize=2, ms=4, label=label)
        of = rows[(rows.part == part) & (rows.model == model) & (rows.half == "score") & rows.sigma.notna()]
        curve = of[of.block == found[f"{part}_best_block"]].groupby("sigma")["pointing_accuracy"].mean()
        right.plot(curve.index, 100 * curve, marker="o", ms=3, color=colours[model])
    for axis in (left, right):
        for other, style in (("prior", "--"), ("chance", ":")):
            axis.axhline(
                100 * found[f"{part}_{other}_pointing_accuracy"], color="#1c2230", linewidth=1, linestyle=style
            )
    left.set_xticks(_blocks(found, part, PRETRAINED))
    left.set(xlabel="block", ylabel=f"hottest patch on the {part}, %", title="mean over all noise levels")
    right.set(xlabel="noise in the picture, σ", title=f"block {found[f'{part}_best_block']:g} (chosen)")
    middle = rows.sigma.max() / 2
    for other, name in (("prior", "mean mask of other pictures"), ("chance", "a patch at random")):
        level = 100 * found[f"{part}_{other}_pointing_accuracy"]
        right.annotate(name, (middle, level), (0, 3), textcoords="offset points", ha="center", size=7)
    left.legend(fontsize=7, loc="lower right")
    return made
