"""The looks of several models at the same pictures: a long table of scores, and the numbers it comes to."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from difflab.attention import ncut, scores
from difflab.metrics.intervals import apart, mean_interval, pooled_spread, scale_of

if TYPE_CHECKING:
    from difflab.attention.noised import Seen
    from difflab.attention.params import AttentionMapsParams
    from difflab.attention.pictures import Picture

MEAN = "mean"
GIVEN = "pretrained"  # the model that is given, whose values differ between trainings by their noise alone
MEASURES = ("pointing_accuracy", "iou", "others_accuracy", "ari")
COLUMNS = ("model", "training", "part", "half", "n", "block", "step", "sigma", *MEASURES)
GAPS = ("ari", "sigma")  # of the table: of all steps together, and of single ones


@dataclass(frozen=True)
class Scores:
    """Of one picture under one model and for one part. Steps are followed by the mean of the maps over all steps.

    Attributes:
        pointing, iou: float32 [steps + 1, blocks].
        hottest: patch, int64 [steps + 1, blocks].
        agreement: adjusted Rand index (Hubert and Arabie 1985) of two clusters with the mask, [blocks]; NaN: not taken.
    """

    pointing: Tensor
    iou: Tensor
    hottest: Tensor
    agreement: Tensor


def scored(picture: "Picture", seen: "Seen", settings: "AttentionMapsParams") -> dict[str, Scores]:
    """The scores of a look at a picture by part; the words of `seen.heat` are the picture's parts in their order."""
    found, labels = {}, None
    if picture.scored and picture.parts:
        labels = [clustered(features, 2, settings.similarity_scale) for features in seen.features]
    for heat, (name, part) in zip(seen.heat, picture.parts.items(), strict=True):
        true = scores.truth(part.shares, settings.coverage)
        maps = torch.cat([heat, heat.mean(0, keepdim=True)])
        agreement = torch.full((maps.shape[1],), torch.nan)
        if labels is not None:
            agreement = torch.tensor([_agreement(label, true) for label in labels])
        found[name] = Scores(scores.pointing(maps, true), scores.overlap(maps, true), scores.hottest(maps), agreement)
    return found


def clustered(features: Tensor, count: int, scale: float) -> np.ndarray:
    """The clusters of a picture's patches by their features [patches, d], centred on their mean: int64 [patches]."""
    centred = (features - features.mean(0)).numpy()
    return ncut.clusters(ncut.cut_features(centred, count, scale=scale), count)


def _agreement(label: np.ndarray, true: Tensor) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(true.numpy(), label))


def rows(
    shown: Sequence["Picture"],
    found: Sequence[Mapping[str, Scores]],
    sigmas: Sequence[float],
    settings: "AttentionMapsParams",
) -> list[dict[str, object]]:
    """Scores of one model's look: a row for each part, half, block and step, and for the mean over steps.

    Parts that fewer than two pictures of a half show are left out.
    """
    made: list[dict[str, object]] = []
    names = [*map(str, range(len(sigmas))), MEAN]
    for part in _parts(shown):
        for half in ("choice", "score"):
            of = [n for n, p in enumerate(shown) if part in p.parts and p.scored == (half == "score")]
            if len(of) < 2:
                continue
            true = scores.truth(torch.stack([shown[n].parts[part].shares for n in of]), settings.coverage)
            pointing, iou, hot, agreement = (
                torch.stack([getattr(found[n][part], name) for n in of])
                for name in ("pointing", "iou", "hottest", "agreement")
            )
            for block, (step, name) in itertools.product(range(hot.shape[2]), enumerate(names)):
                at = (slice(None), step, block)
                row: dict[str, object] = {"part": part, "half": half, "n": len(of), "block": block, "step": name}
                row["sigma"] = np.nan if name == MEAN else sigmas[step]
                row["pointing_accuracy"], row["iou"] = _mean(pointing[at]), _mean(iou[at])
                row["others_accuracy"] = _mean(scores.others(hot[at], true))
                row["ari"] = _mean(agreement[:, block]) if name == MEAN else np.nan
                made.append(row)
    return made


def _parts(shown: Sequence["Picture"]) -> list[str]:
    return list(dict.fromkeys(name for picture in shown for name in picture.parts))


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def references(shown: Sequence["Picture"], settings: "AttentionMapsParams") -> dict[str, float]:
    """What chance and the prior reach on the scored half, by part; the prior is the mean mask of the other half."""
    found: dict[str, float] = {}
    for part in _parts(shown):
        halves = [
            [p.parts[part].shares for p in shown if part in p.parts and p.scored == half] for half in (True, False)
        ]
        if min(map(len, halves)) < 2:
            continue
        shares, seen = map(torch.stack, halves)
        values = scores.without_network(shares, scores.truth(shares, settings.coverage), seen)
        found |= {f"{part}_n": len(shares)} | {f"{part}_{name}": value for name, value in values.items()}
    return found


def summarise(table: pd.DataFrame) -> dict[str, float]:
    """Metrics of the scored half: `<part>_<model>_block_<b>_<measure>` with the 95 % interval `_low`, `_high`.

    `<part>_best_block` is the one with the highest mean pointing accuracy of the fine-tuned models in the other half,
    `<part>_<model>_<measure>` are its values, and `<part>_<model>_<measure>_change` what fine-tuning changes in it.
    Spreads are those between trainings, pooled over blocks and fine-tuned models; for the given model, between the noises.
    """
    metrics: dict[str, float] = {}
    means = table[table.step == MEAN]
    models = list(dict.fromkeys(means.model))
    tuned = [name for name in models if name != GIVEN]
    for part in dict.fromkeys(means.part):
        of = means[means.part == part]
        if set(of.half) != {"choice", "score"}:
            continue
        choice = of[(of.half == "choice") & of.model.isin(tuned)].groupby("block")["pointing_accuracy"].mean()
        best = int(choice.idxmax())
        metrics[f"{part}_best_block"] = best
        of_scored = of[of.half == "score"]
        for measure in MEASURES:
            found = {**_cells(of_scored, measure, [GIVEN]), **_cells(of_scored, measure, tuned)}
            for (model, block), value in found.items():
                metrics |= _named(f"{part}_{model}_block_{block}_{measure}", *value)
            for model in models:
                metrics |= _named(f"{part}_{model}_{measure}", *found[model, best])
            for model in tuned:
                (a, of_a), (b, of_b) = found[model, best], found[GIVEN, best]
                ends = None if of_a is None or of_b is None else apart(a, of_a, b, of_b)
                metrics |= _named(f"{part}_{model}_{measure}_change", a - b, ends)
    return metrics


Value = tuple[float, tuple[float, float] | None]


def _cells(scored: pd.DataFrame, measure: str, models: Iterable[str]) -> dict[tuple[str, int], Value]:
    """Mean and interval of each model and block: those of the models together give the spread."""
    values: Mapping = scored[scored.model.isin(list(models))].groupby(["model", "block"])[measure].apply(list).to_dict()
    means = {cell: float(np.mean(of)) for cell, of in values.items()}
    spread = pooled_spread({str(cell): of for cell, of in values.items()}, scale_of(measure, means.values()))
    return {
        cell: (means[cell], mean_interval(means[cell], len(of), spread) if spread.freedom else None)
        for cell, of in values.items()
    }


def _named(name: str, value: float, ends: tuple[float, float] | None) -> dict[str, float]:
    return {name: value} | ({f"{name}_low": ends[0], f"{name}_high": ends[1]} if ends else {})


def headline(metrics: Mapping[str, float]) -> str:
    """What a stage's last line adds: for each part how well the best block points after fine-tuning, at most."""
    ends = "_pointing_accuracy"
    said = []
    for name, block in metrics.items():
        if name.endswith("_best_block"):
            part = name.removesuffix("_best_block")
            best = max(value for key, value in metrics.items() if key.startswith(f"{part}_") and key.endswith(ends))
            said.append(f", {part}: block {block:g} points right in {best:.0%}")
    return "".join(said)
