"""Curves over the trainings of one cell: means, intervals, what is given."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from difflab.core.base.files import sha256_file
from difflab.sd3.sampling_curve import over_trainings, plot_curve, point

FID = {0: [60.0, 66.0], 50: [9.0, 11.0], 100: [7.0, 7.4]}


@pytest.fixture
def table():
    rows = [
        {"step": x, "seed": s, "n": 100, "fid": v, "digit_accuracy": 0.9}
        for x, f in FID.items()
        for s, v in enumerate(f)
    ]
    return pd.DataFrame(rows)


def test_points_are_means_with_intervals_of_the_pooled_relative_spread(table):
    curve = over_trainings(table, "fid", given=[0])
    assert curve["mean"].tolist() == [63, 10, 7.2]
    pooled = np.sqrt(np.mean([(np.std(FID[x], ddof=1) / np.mean(FID[x])) ** 2 for x in (50, 100)]))
    half = stats.t.ppf(0.975, 2) * pooled / np.sqrt(2)
    assert curve.loc[50].tolist() == pytest.approx([10, 10 * (1 - half), 10 * (1 + half)])


def test_where_nothing_was_trained_there_is_no_interval(table):
    curve = over_trainings(table, "fid", given=[0])
    assert point("first_fid", curve.loc[0]) == {"first_fid": 63}
    assert list(point("last_fid", curve.loc[100])) == ["last_fid", "last_fid_low", "last_fid_high"]


def test_one_training_has_no_interval(table):
    curve = over_trainings(table[table.seed == 0], "fid")
    assert curve["mean"].tolist() == [60, 9, 7]
    assert curve[["low", "high"]].isna().all(axis=None)


def test_the_picture_is_the_same_bytes_every_time(tmp_path, table):
    for name in ("a", "b"):
        plot_curve(tmp_path / f"{name}.png", table, "training step", given=[0])
    assert sha256_file(tmp_path / "a.png") == sha256_file(tmp_path / "b.png")
    plot_curve(tmp_path / "a.png", table.assign(fid=table.fid + table.seed * 3), "training step", given=[0])
    assert sha256_file(tmp_path / "a.png") != sha256_file(tmp_path / "b.png")
