"""Originals are drawn and groups split with everything made from them: no group is in two splits, nothing leaks."""

import ast
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from difflab.captioning.mixing import rows as mixing
from difflab.captioning.mixing.rows import (
    ORIGINAL,
    SYNTHETIC,
    Row,
    counts,
    drawn_splits,
    leaks,
    listing,
    merge,
    split_rows,
)
from difflab.captioning.params import MixParams
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_csv
from fakes.face_archives import mix_params


def groups(count: int, variations: int = 3) -> list[Row]:
    """Originals and, of each, some synthetic pictures."""
    names = [f"recipes-{number:05d}" for number in range(count)]
    rows = [Row(name, ORIGINAL, name, ("Soup",)) for name in names]
    return rows + [Row(f"{n}-v{v}", SYNTHETIC, n, ("Broth",)) for n in names for v in range(variations)]


def split(rows: list[Row], settings: MixParams, seed: int) -> list[Row]:
    """As the stage does it: draw by original, join the groups, split. No two of these pictures are alike."""
    drawn = drawn_splits({row.id for row in rows if row.source == ORIGINAL}, settings, seed)
    rows = [row._replace(split=drawn.get(row.id if row.source == ORIGINAL else row.group, "")) for row in rows]
    joined, _, _ = merge(rows, [row.id for row in rows], np.arange(len(rows)))
    return mixing.split(joined, settings, seed)


@st.composite
def data_sets(draw) -> list[Row]:
    """Groups with one to three originals and up to four synthetic pictures, in any order."""
    rows = []
    for number in range(draw(st.integers(8, 40))):
        name = f"r{number:02d}"
        for copy in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
            rows.append(Row(f"{name}{'x' * copy}", ORIGINAL, name, ("a",)))
        for variation in range(draw(st.integers(0, 4))):
            rows.append(Row(f"{name}-v{variation}", SYNTHETIC, name, ("b",)))
    return draw(st.permutations(rows))


FRACTIONS = st.sampled_from([0.1, 0.2, 0.3])
SEEDS = st.integers(0, 1000)


def split_or_skip(rows: list[Row], chosen: MixParams, seed: int) -> list[Row]:
    try:
        return split(rows, chosen, seed)
    except DifflabError:
        assume(False)


@given(data_sets(), FRACTIONS, FRACTIONS, SEEDS)
def test_every_row_is_in_at_most_one_split_and_no_group_in_two(rows, val, test, seed):
    result = split_or_skip(rows, mix_params(val_fraction=val, test_fraction=test), seed)
    assert [row.id for row in result] == sorted({row.id for row in result})
    assert {row._replace(split="") for row in result} <= set(rows)
    splits = {}
    for row in result:
        splits.setdefault(row.group, set()).add(row.split)
    assert all(len(names) == 1 for names in splits.values())
    assert leaks(result) == 0

    for row in set(rows) - {row._replace(split="") for row in result}:  # none that could be trained on is lost
        assert splits.get(row.group, {"val", "test"}) <= {"val", "test"}


@given(data_sets(), FRACTIONS, FRACTIONS, SEEDS)
def test_val_is_half_synthetic_and_test_is_original(rows, val, test, seed):
    result = split_or_skip(rows, mix_params(val_fraction=val, test_fraction=test), seed)
    found = counts(result)
    assert found["val_original"] == found["val_synthetic"] > 0
    assert found["test_synthetic"] == 0 < found["test_original"]
    tested = {row.group for row in result if row.split == "test"}
    assert found["test_original"] == sum(row.group in tested and row.source == ORIGINAL for row in rows)


@given(data_sets(), FRACTIONS, FRACTIONS, SEEDS)
def test_what_is_drawn_for_test_is_tested_whatever_it_is_joined_with(rows, val, test, seed):
    chosen = mix_params(val_fraction=val, test_fraction=test)
    drawn = drawn_splits({row.id for row in rows if row.source == ORIGINAL}, chosen, seed)
    found = {row.id: row.split for row in split_or_skip(rows, chosen, seed)}
    assert all(found[id] == "test" for id, name in drawn.items() if name == "test")
    for row in rows:
        own = {drawn[other.id] for other in rows if other.group == row.group and other.source == ORIGINAL}
        strongest = next(name for name in ("test", "val", "train") if name in own)
        assert found.get(row.id, strongest) == strongest


@given(st.sets(st.text(max_size=4), max_size=60), FRACTIONS, FRACTIONS, SEEDS)
def test_shares_of_originals_are_exact_within_rounding(names, val, test, seed):
    drawn = drawn_splits(names, mix_params(val_fraction=val, test_fraction=test), seed)
    assert set(drawn) == names
    for name, share in (("val", val), ("test", test)):
        assert abs(list(drawn.values()).count(name) - share * len(names)) <= 0.5 + 1e-9


@given(st.sets(st.text(max_size=4), min_size=2, max_size=60), FRACTIONS, FRACTIONS, SEEDS)
def test_an_original_more_moves_at_most_one_other_across_each_border(names, val, test, seed):
    chosen = mix_params(val_fraction=val, test_fraction=test)
    *others, _ = sorted(names)
    before, after = (drawn_splits(some, chosen, seed) for some in (others, names))
    moved = [{before[name], after[name]} for name in others if before[name] != after[name]]
    assert moved.count({"train", "test"}) <= 1
    assert moved.count({"train", "val"}) <= 1
    assert len(moved) <= 2
    assert {"val", "test"} not in moved


@given(data_sets(), SEEDS, st.randoms())
def test_the_order_of_rows_changes_nothing(rows, seed, random):
    shuffled = random.sample(rows, len(rows))
    chosen = mix_params(val_fraction=0.2, test_fraction=0.2)
    assert split_or_skip(shuffled, chosen, seed) == split(rows, chosen, seed)


def test_a_variation_more_moves_no_group():
    rows = groups(60)
    before = {row.group: row.split for row in split(rows, mix_params(), 0)}
    after = split([*rows, *(row._replace(id=f"{row.id}-v3", source=SYNTHETIC) for row in rows[:60])], mix_params(), 0)
    assert {row.group: row.split for row in after} == before


def test_the_split_is_keyed_by_the_seed():
    rows = groups(60)
    assert split(rows, mix_params(), 1) == split(rows, mix_params(), 1)
    assert split(rows, mix_params(), 1) != split(rows, mix_params(), 2)


def test_the_shares_of_the_study():
    """80/10/10 of 480 groups with three variations each."""
    assert counts(split(groups(480), mix_params(), 0)) == {
        "train_original": 384,
        "train_synthetic": 1152,
        "val_original": 48,
        "val_synthetic": 48,
        "test_original": 48,
        "test_synthetic": 0,
    }


def test_the_synthetic_half_of_val_is_of_different_groups():
    val = [row for row in split(groups(100), mix_params(), 0) if row.split == "val" and row.source == SYNTHETIC]
    assert len({row.group for row in val}) == 10
    assert len({row.id[-2:] for row in val}) == 3  # v0, v1, v2: not always the first


def test_leaks_of_a_worked_example():
    rows = [
        Row("a", ORIGINAL, "a", (), "test"),
        Row("b", ORIGINAL, "b", (), "test"),
        Row("c", ORIGINAL, "c", (), "test"),
        Row("d", ORIGINAL, "c", (), "test"),
        Row("b-v0", SYNTHETIC, "b", (), "val"),
        Row("c-v0", SYNTHETIC, "c", (), "train"),
    ]
    assert (leaks(rows), leaks(rows, ["train"]), leaks(rows, ["val"])) == (3, 2, 1)


def test_the_published_order_of_steps_has_the_published_counts_and_leak():
    """12,934 groups with three variations: 99.96 % of the test groups have a sibling in train."""
    result = split_rows(groups(12_934), 0)
    assert counts(result) == {
        "train_original": 5_175,
        "train_synthetic": 36_215,
        "val_original": 2_586,
        "val_synthetic": 2_587,
        "test_original": 5_173,
        "test_synthetic": 0,
    }
    assert leaks(result, ["train"]) / 5_173 == pytest.approx(1 - (2_587 / 38_802) ** 3, abs=6e-4)
    assert leaks(result) == 5_173
    assert leaks(split(groups(12_934), mix_params(), 0)) == 0


@given(data_sets(), SEEDS)
def test_the_published_order_of_steps_puts_every_row_into_one_split(rows, seed):
    result = split_rows(rows, seed)
    assert sorted(row._replace(split="") for row in result) == sorted(rows)
    assert all(row.split in ("train", "val", "test") for row in result)
    assert counts(result)["test_original"] == int(0.1 * len(rows))


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([], {}, r"the split train is empty: of 0 groups.* prepare more recipes"),
        (groups(4), {}, r"the split val is empty: of 4 groups.*, or raise mix\.val_fraction"),
        (groups(9), {"test_fraction": 0.05}, r"split test is empty.*fraction 0\.05.*raise mix\.test_fraction"),
        (groups(2), {"val_fraction": 0.5, "test_fraction": 0.4}, r"train is empty.*lower mix\.val_fraction"),
        (groups(20, variations=0), {}, r"the split train has no synthetic picture: data/synthetic holds none"),
    ],
)
def test_an_empty_split_is_refused_with_what_to_change(rows, changes, message):
    with pytest.raises(DifflabError, match=message):
        split(rows, mix_params(**changes), 0)


def test_val_without_synthetic_pictures_is_refused():
    rows = groups(20)
    drawn = drawn_splits({row.group for row in rows}, mix_params(), 0)
    rows = [row for row in rows if row.source == ORIGINAL or drawn[row.group] != "val"]
    with pytest.raises(DifflabError, match=r"the split val has no synthetic picture.* of its 2 groups"):
        split(rows, mix_params(), 0)


@pytest.mark.parametrize(
    "changes", [{"val_fraction": 0.5, "test_fraction": 0.5}, {"test_fraction": 0}, {"max_hamming_distance": 65}]
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(ValidationError):
        mix_params(**changes)


TITLES = ['Beef "Wellington"', "Mum's Pie, with 'plums'", "Crème brûlée", "[Soup]", "nan", "Tea; 1/2", "a\\b"]


def test_exports_are_read_as_lists_by_json_and_by_the_published_reader(tmp_path):
    """pd.read_csv and ast.literal_eval of what begins with a bracket."""
    rows = [Row(f"r{n}", ORIGINAL, "r", tuple(TITLES[n:]), "val") for n in range(len(TITLES))]
    rows.append(Row("other", ORIGINAL, "other", ("Soup",), "test"))
    write_csv(tmp_path / "val.csv", listing(rows, "val"))
    frame = pd.read_csv(tmp_path / "val.csv")
    assert frame.columns.tolist() == ["Image_Name", "Title"]
    assert frame["Image_Name"].tolist() == [f"r{n}.png" for n in range(len(TITLES))]
    assert all(isinstance(text, str) and text.startswith("[") for text in frame["Title"])
    for read in (json.loads, ast.literal_eval):
        assert [read(text) for text in frame["Title"]] == [TITLES[n:] for n in range(len(TITLES))]
