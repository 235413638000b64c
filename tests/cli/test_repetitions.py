"""Repetitions of the whole study, and the prediction intervals that know them."""

import math

import numpy as np
import pytest
from scipy.stats import t

from difflab.cli.headlines import Headline
from difflab.cli.repetitions import ARITHMETIC, HEADER, Repetition, between, parse, prediction, read, record
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import Spread

A, B = "denoising_v1_clipped_psnr", "denoising_v0_clipped_psnr"
SUMMARY = {A: 24.0, f"{A}_low": 23.9, f"{A}_high": 24.1, B: 22.0}
HEADLINE = Headline("denoising", "v1_clipped", "psnr")


def row(name, committed, value):
    return Repetition("one", "EPYC", "", name, committed, value)


def test_half_the_squared_difference_is_a_variance():
    spreads = between([row(A, 24.0, 24.6), row(B, 22.0, 22.2)])
    assert spreads == {("denoising", "psnr"): Spread(pytest.approx(math.sqrt((0.18 + 0.02) / 2)), 2)}


def test_distances_move_by_a_share_of_their_level():
    (spread,) = between([row("sd3_minus_blip2_fid", 9.0, 11.0), row("sd3_zero_blip2_fid", 90.0, 110.0)]).values()
    assert (spread.scale, spread.size) == ("relative", pytest.approx(0.2 / math.sqrt(2)))


def test_the_wider_of_training_and_repetitions_decides():
    own = pytest.approx((24 - math.sqrt(2) * 0.1, 24 + math.sqrt(2) * 0.1))
    assert prediction(SUMMARY, HEADLINE, {}) == own
    wide = math.sqrt(2) * t.ppf(0.975, 4)
    assert prediction(SUMMARY, HEADLINE, {("denoising", "psnr"): Spread(1.0, 4)}) == pytest.approx(
        (24 - wide, 24 + wide)
    )
    assert prediction(SUMMARY, HEADLINE, {("denoising", "psnr"): Spread(1e-9, 4)}) == own
    assert prediction({A: 24.0}, HEADLINE, {}) is None


def test_a_share_is_predicted_within_0_to_1():
    name = "ddpm_text_accuracy"
    low, high = prediction(
        {name: 1.0, f"{name}_low": 0.9, f"{name}_high": 1.0}, Headline("ddpm", "text", "accuracy"), {}
    )
    assert high == 1.0
    assert low == pytest.approx(math.cos(math.sqrt(2) * math.acos(math.sqrt(0.9))) ** 2)


def test_another_run_lies_inside_in_95_of_100_draws():
    """Five cells, two repetitions on record, a third that is to be predicted; all of them vary by the same."""
    generator, hits = np.random.default_rng(0), []
    names = [f"denoising_v{i}_psnr" for i in range(5)]
    for _ in range(2000):
        committed, *others, third = 20 + generator.normal(size=(4, 5))
        spreads = between(row(*one) for other in others for one in zip(names, committed, other, strict=True))
        summary = dict(zip(names, committed, strict=True))
        ends = [prediction(summary, Headline("denoising", f"v{i}", "psnr"), spreads) for i in range(5)]
        hits.append(np.mean([low <= value <= high for value, (low, high) in zip(third, ends, strict=True)]))
    assert 0.93 <= np.mean(hits) <= 0.97


def test_a_run_is_recorded_with_what_it_repeats(tmp_path, monkeypatch):
    path = tmp_path / "repetitions.csv"
    for name in ARITHMETIC:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert record("one", SUMMARY, SUMMARY | {A: 24.5}, "EPYC 7B13, two cores", path) == 2
    assert record("two", SUMMARY, SUMMARY, "Xeon", path) == 2
    found = parse(path.read_text())
    assert found[0] == Repetition("one", "EPYC 7B13, two cores", "MKL_CBWR=COMPATIBLE", A, 24.0, 24.5)
    assert [r.repetition for r in found] == ["one", "one", "two", "two"]
    with pytest.raises(DifflabError, match="a repetition 'two' already"):
        record("two", SUMMARY, SUMMARY, "Xeon", path)


@pytest.mark.parametrize("line", ["one,EPYC", "one,EPYC,,name,1.0,many"])
def test_a_damaged_line_is_named(line):
    with pytest.raises(DifflabError, match=r"repetitions.csv, line 2 is no repetition: it needs repetition, processor"):
        parse(f"{','.join(HEADER)}\n{line}\n")


@pytest.mark.parametrize("content", [b"", ",".join(HEADER).encode(), b"repetition\xff"])
def test_a_file_without_repetitions_is_no_absent_one(tmp_path, content):
    (tmp_path / "repetitions.csv").write_bytes(content)
    with pytest.raises(DifflabError, match="git restore"):
        read(tmp_path / "repetitions.csv")
    assert read(tmp_path / "absent.csv") == []


def test_a_line_that_is_cut_is_one_line():
    with pytest.raises(DifflabError, match=r"^unreadable: metrics/repetitions.csv .*`git restore"):
        parse(f"{','.join(HEADER)}\none\r,two\n")
