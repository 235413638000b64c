"""Whether a ranking of blocks predicts what tuning them brings: which sets are tuned, and what their gains say."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import student
from difflab.sd3.blocks.ways import MISLEADS, OPEN, PREDICTS

Blocks = tuple[int, ...]  # ascending
RANDOM, BOTTOM = "random", "bottom"
GAIN = "gain"


@dataclass(frozen=True)
class Plan:
    """The sets of k blocks: the best and the worst of each way's ranking, and random ones, which may be the same."""

    top: dict[str, Blocks]
    bottom: dict[str, Blocks]
    random: list[Blocks]

    @property
    def sets(self) -> list[Blocks]:
        """Each set once, in order."""
        return sorted({*self.top.values(), *self.bottom.values(), *self.random})

    def roles(self, blocks: Blocks) -> str:
        """What a set stands for: "top_mean bottom_text random"."""
        named = {"top": self.top, "bottom": self.bottom}
        found = [f"{role}_{way}" for role, sets in named.items() for way, own in sets.items() if own == blocks]
        return " ".join([*found, *([RANDOM] if blocks in self.random else [])])


def planned(importance: Mapping[str, Sequence[float]], k: int, random_sets: int, seed: int) -> Plan:
    """The sets to tune.

    Args:
        importance: by way of each block.
        random_sets: how many are drawn, without repetition; all there are where that is fewer.

    Raises:
        DifflabError: the best and the worst k would overlap.
    """
    count = len(next(iter(importance.values())))
    check_k(k, count)
    order = {way: np.argsort(-np.asarray(values), kind="stable").tolist() for way, values in importance.items()}
    top = {way: tuple(sorted(blocks[:k])) for way, blocks in order.items()}
    bottom = {way: tuple(sorted(blocks[-k:])) for way, blocks in order.items()}
    if math.comb(count, k) <= random_sets:
        return Plan(top, bottom, list(itertools.combinations(range(count), k)))
    draw, drawn = rng.numpy_rng(seed, "blocks", "random sets"), dict[Blocks, None]()
    while len(drawn) < random_sets:
        drawn[tuple(sorted(draw.choice(count, k, replace=False).tolist()))] = None
    return Plan(top, bottom, list(drawn))


def check_k(k: int, count: int) -> None:
    """Refuse sets of k of `count` blocks of which the best and the worst overlap."""
    if 2 * k > count:
        raise DifflabError(
            f"blocks.k is {k}, but the transformer has {count} blocks: the best and the worst {k} would overlap; "
            f"take at most {count // 2}"
        )


def same_size(parameters: Mapping[Blocks, int]) -> int:
    """The trained parameters that all sets share; a DifflabError where they differ, since more of them fit better."""
    few, many = (choose(parameters, key=parameters.__getitem__) for choose in (min, max))
    if parameters[few] != parameters[many]:
        raise DifflabError(
            f"blocks.targets train {parameters[few]:,} parameters in blocks {shown(few)} and {parameters[many]:,} in "
            f"{shown(many)}: name layers that every block has (the last has no to_add_out and no ff_context)"
        )
    return parameters[few]


def shown(blocks: Blocks) -> str:
    """A set in words and in tables: "4 5 7"."""
    return " ".join(map(str, blocks))


def metrics(plan: Plan, importance: Mapping[str, Sequence[float]], table: pd.DataFrame) -> dict[str, float | str]:
    """Flat metrics of the tuned sets.

    For each way and measure `<way>_top_minus_random_<measure>` and `<way>_top_minus_bottom_<measure>` with their
    intervals; `<way>_verdict`, by the gain of the best set over random ones; `<way>_gain_tau`, between the importance of
    the tuned sets, summed over their blocks, and their gains.

    Args:
        table: a row for each set and seed: `blocks` (as `shown`), `seed`, and the measures from `gain` on.
    """
    from scipy.stats import kendalltau

    flat: dict[str, float | str] = {}
    measures = [str(name) for name in table.columns if name in (GAIN, "fid") or str(name).endswith("_accuracy")]
    for way in plan.top:
        for measure in measures:
            values = table.pivot(index="seed", columns="blocks", values=measure)[[shown(s) for s in plan.sets]]
            against = {RANDOM: plan.random, BOTTOM: [plan.bottom[way]]}
            for name, others in against.items():
                weights = contrast(plan.sets, plan.top[way], others)
                key = f"{way}_top_minus_{name}_{measure}"
                flat |= with_ends(key, *paired_contrast(values.to_numpy(dtype=float), weights))
        flat[f"{way}_verdict"] = verdict(flat, f"{way}_top_minus_random_{GAIN}")
        gains = table.groupby("blocks")[GAIN].mean()
        summed = [float(np.sum([importance[way][b] for b in s])) for s in plan.sets]
        flat[f"{way}_gain_tau"] = float(kendalltau(summed, [gains[shown(s)] for s in plan.sets]).statistic)
    return flat


def contrast(sets: Sequence[Blocks], one: Blocks, others: Sequence[Blocks]) -> np.ndarray:
    """Weights [sets] of the value of one set minus the mean of others."""
    return np.array([(s == one) - (s in others) / len(others) for s in sets], dtype=float)


def paired_contrast(values: np.ndarray, weights: np.ndarray) -> tuple[float, float | None, float | None]:
    """A contrast of the means of sets, and its 95 % interval: None twice with one seed or one set.

    The seeds are blocks in the sense of Fisher (all sets of a seed see the same data in the same order), so that the
    spread is what sets and seeds leave unexplained (two-way analysis of variance without interaction).

    Args:
        values: [seeds, sets].
    """
    seeds, sets = values.shape
    value = float(values.mean(0) @ weights)
    if seeds < 2 or sets < 2:
        return value, None, None
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    freedom = (seeds - 1) * (sets - 1)
    half = student(freedom) * math.sqrt(np.square(rest).sum() / freedom * np.square(weights).sum() / seeds)
    return value, value - half, value + half


def with_ends(name: str, value: float, low: float | None, high: float | None) -> dict[str, float]:
    ends = {f"{name}_low": low, f"{name}_high": high}
    return {name: value, **{key: end for key, end in ends.items() if end is not None}}


def verdict(found: Mapping[str, float | str], name: str) -> str:
    """What an interval of the gain over random sets says of a ranking."""
    if f"{name}_low" not in found:
        return OPEN
    return PREDICTS if float(found[f"{name}_low"]) > 0 else MISLEADS if float(found[f"{name}_high"]) < 0 else OPEN
