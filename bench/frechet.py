"""Frechet distance at 2,048 dimensions: this package's against pytorch-fid's, in one process and alternating.

    python bench/frechet.py [--dim 2048] [--repeats 3]

Prints for full rank (n > d) and for too few images (n < d; from statistics, and from the features): both
times (medians), their ratio, and the relative difference of the values.
"""

import statistics as st
import time
import warnings
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from functools import partial

import numpy as np

warnings.filterwarnings("ignore")


def features(n: int, dim: int, seed: int) -> np.ndarray:
    """Features with the falling spectrum of real ones: [n, dim]."""
    draws = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dim, dim)) * np.linspace(1, 0.05, dim) / np.sqrt(dim)
    return draws.normal(size=(n, dim)) @ mixing * (1 + 0.1 * seed) + 0.02 * seed


def timed(call: Callable[[], float]) -> tuple[float, float]:
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value


def main() -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    from difflab.metrics import distances

    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    few, many = args.dim // 10, 2 * args.dim
    distances.frechet_distance(features(50, 8, 0), features(50, 8, 1))  # the first call loads the libraries

    print(f"{'case':<34}{'pytorch-fid':>12}{'difflab':>10}{'ratio':>8}{'rel. difference':>18}")
    for name, n, from_features in (
        (f"n = {many}, statistics", many, False),
        (f"n = {few}, statistics", few, False),
        (f"n = {few}, features", few, True),
    ):
        a, b = features(n, args.dim, 0), features(n, args.dim, 1)
        both = (*distances.statistics(a), *distances.statistics(b))
        own = partial(distances.frechet_distance, a, b) if from_features else partial(distances.from_statistics, *both)
        rounds = [(*timed(partial(calculate_frechet_distance, *both)), *timed(own)) for _ in range(args.repeats)]
        slow, expected, fast, value = map(st.median, zip(*rounds, strict=True))
        difference = abs(value - expected) / expected
        print(f"{name:<34}{slow:>10.2f} s{fast:>8.2f} s{slow / fast:>7.1f}x{difference:>18.1e}")


if __name__ == "__main__":
    main()
