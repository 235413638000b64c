"""Captioned pictures are cleaned, with everything left out named; a picture that occurs twice becomes one row."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.captioning.mixing.rows import ORIGINAL, REASONS, SYNTHETIC, Row, clean, merge, usable
from difflab.core.base.errors import DifflabError


def original(id: str, *titles: str) -> Row:
    return Row(id, ORIGINAL, id, titles or (f"title of {id}",))


def synthetic(id: str, *titles: str) -> Row:
    return Row(id, SYNTHETIC, id.split("-v")[0], titles or (f"title of {id}",))


def nothing() -> dict[str, list[str]]:
    """That nothing was left out."""
    return {reason: [] for reason in REASONS}


def test_titles_become_clean_lines_and_bad_ones_are_named():
    left = nothing()
    titles = {"b": ["Soup ", None, "  "], "a": ["Pie\n of\tplums"], "c": [float("nan")], "e": ["Tea"]}
    titles["f"] = ["???", "\U0001f355", "\u200b"]  # no word, so no reference to score a caption by
    rows = clean(ORIGINAL, ["d", "a", "b", "c", "f"], titles, left)
    assert rows == [original("a", "Pie of plums"), original("b", "Soup")]
    assert left == nothing() | {
        "empty_titles": ["b", "b", "c", "f", "f", "f"],
        "images_without_title": ["d"],
        "titles_without_image": ["e"],
    }


def test_titles_that_differ_in_capitals_only_are_one():
    (row,) = clean(ORIGINAL, ["a"], {"a": ["Plum Pie", "Tart", "plum pie"]}, nothing())
    assert row.titles == ("Plum Pie", "Tart")


def test_a_synthetic_picture_is_of_the_group_that_its_id_names():
    titles = {"my-v8-v0": ["Soup"], "my-v8-v12": ["Broth"]}
    rows = clean(SYNTHETIC, list(titles), titles, nothing())
    assert [row.group for row in rows] == ["my-v8", "my-v8"]


@pytest.mark.parametrize("id", ["recipes-3", "recipes-v", "recipes-vx", "-v1", "recipes-v-1"])
def test_a_synthetic_picture_that_names_no_group_is_refused(id):
    with pytest.raises(DifflabError, match=rf"'{id}' is not named <original>-v<number>: make data/synthetic"):
        clean(SYNTHETIC, [id], {id: ["Soup"]}, nothing())


def test_blank_pictures_and_those_without_their_original_are_left_out():
    rows = [original("a"), original("b"), synthetic("a-v0"), synthetic("b-v0"), synthetic("c-v0")]
    left = nothing()
    assert usable(rows, np.array([False, True, False, False, False]), left) == [0, 2]
    assert left == nothing() | {"blank_images": ["b"], "synthetic_without_original": ["b-v0", "c-v0"]}


def test_copies_become_the_first_row_with_the_titles_of_all():
    rows = [original("c", "Stew", "Soup"), original("a", "Soup"), original("b", "Broth"), original("d")]
    merged = merge(rows, ["1", "1", "2", "3"], np.array([0, 0, 0, 3]))
    assert merged == ([Row("a", ORIGINAL, "a", ("Soup", "Broth", "Stew")), original("d")], 1, 1)


def test_pictures_made_from_a_merged_row_are_of_the_group_that_stays():
    rows = [original("a"), original("b"), synthetic("b-v0")]
    merged = merge(rows, ["1", "1", "2"], np.array([0, 0, 2]))
    assert merged[0][1] == synthetic("b-v0")._replace(group="a")


def test_copies_of_another_source_share_the_group_and_keep_their_titles():
    """A title written for a synthetic picture must not become the reference of an original."""
    rows = [original("a", "Pie"), original("b", "Tart"), synthetic("b-v0", "Sweet Tart")]
    merged = merge(rows, ["1", "2", "3"], np.array([0, 1, 0]))
    assert merged == ([row._replace(group="a") for row in rows], 0, 0)


def test_equal_files_are_copies_whatever_the_prints_say():
    (_,), exact, near = merge([original("a"), original("b")], ["1", "1"], np.array([0, 1]))
    assert (exact, near) == (1, 0)


def test_nothing_merges_to_nothing():
    assert merge([], [], np.array([], np.int64)) == ([], 0, 0)


@st.composite
def pictures(draw) -> tuple[list[Row], list[str], np.ndarray]:
    """Rows in any order, with equal files and near pictures at random."""
    originals = [original(f"r{n:02d}", f"t{draw(st.integers(0, 4))}") for n in range(draw(st.integers(1, 12)))]
    made = [synthetic(f"{row.id}-v{v}") for row in originals for v in range(draw(st.integers(0, 3)))]
    rows = draw(st.permutations(originals + made))
    near = np.array([draw(st.integers(0, 2 * len(rows))) for _ in rows])
    files = [f"{group}/{draw(st.integers(0, 1))}" for group in near]
    return rows, files, near


@given(pictures())
def test_every_picture_occurs_once_and_relatives_share_a_group(drawn):
    rows, files, near = drawn
    merged, exact, alike = merge(rows, files, near)
    assert [row.id for row in merged] == sorted(row.id for row in merged)
    assert len(merged) + exact + alike == len(rows)

    picture = dict(zip((row.id for row in rows), near.tolist(), strict=True))
    assert len({(row.source, picture[row.id]) for row in merged}) == len(merged)
    for row in merged:
        same = sorted(r for r in rows if (r.source, picture[r.id]) == (row.source, picture[row.id]))
        assert row.id == same[0].id
        assert set(row.titles) == {title for other in same for title in other.titles}

    graph = nx.Graph([(row.id, f"group {row.group}") for row in rows])
    graph.add_edges_from((id, f"picture {label}") for id, label in picture.items())
    for row in merged:
        relatives = nx.node_connected_component(graph, row.id)
        assert row.group == min(name[6:] for name in relatives if name.startswith("group "))


@given(pictures(), st.randoms())
def test_the_order_of_rows_changes_nothing(drawn, random):
    rows, files, near = drawn
    order = list(range(len(rows)))
    random.shuffle(order)
    assert merge([rows[n] for n in order], [files[n] for n in order], near[order]) == merge(rows, files, near)
