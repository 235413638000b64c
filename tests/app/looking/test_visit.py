"""What a visitor sees after a click, from memory."""

import numpy as np
import pytest
import torch

from difflab.app.looking.visit import DIFFERENCE, SIDE, Visit, cluster_view, heat_view, patch_at
from difflab.attention.heatmap import difference_overlay, on_patches, overlay
from difflab.attention.views import Choice, by_model, rows
from difflab.cli.attention import sources_of
from difflab.core.base.errors import DifflabError

TUNED = "blip2-zero-seed-0"


def test_without_a_click_pictures_are_plain(visit):
    view = heat_view(visit, visit.request())
    assert set(view.pictures) == {(model, n) for model in ("base", TUNED) for n in (0, 1)}
    assert not view.words
    one = visit.made[0]
    enlarged = view.pictures["base", 0]
    assert enlarged.shape == (SIDE, SIDE, 3)
    assert {tuple(pixel) for pixel in enlarged.reshape(-1, 3)} == {tuple(pixel) for pixel in one.picture.reshape(-1, 3)}


def test_a_word_is_drawn_under_both_models_with_their_difference(visit):
    request = visit.request(words=("three",), prompt=0, blocks=(1,))
    view, models = heat_view(visit, request), by_model(visit.made)
    (source,) = sources_of(request, [one.layout for one in models["base"]])
    found = {model: rows(own, source, Choice(blocks=(1,)))[0] for model, own in models.items()}
    first, second = (models[name][0] for name in ("base", TUNED))
    drawn = overlay(first.picture, on_patches(found["base"], first.layout), SIDE)
    assert np.array_equal(view.pictures["base", 0], drawn)
    change = on_patches(found[TUNED] - found["base"], first.layout)
    assert view.most == {0: float(change.abs().max())}
    expected = difference_overlay(second.picture, change, view.most[0], SIDE)
    assert np.array_equal(view.pictures[DIFFERENCE, 0], expected)
    assert set(view.words) == {("base", 0), (TUNED, 0)}  # the other prompt is not asked about
    assert (DIFFERENCE, 1) not in view.pictures


def test_words_have_the_mean_over_their_tokens_and_add_up_with_the_patches(visit):
    view = heat_view(visit, visit.request(patches=((0, 1),), prompt=0))
    one = visit.made[0]
    words = dict(view.words["base", 0])
    assert list(words) == one.layout.words()
    (source,) = sources_of(visit.request(patches=((0, 1),), prompt=0), [one.layout])
    row = rows([one], source, Choice())[0]
    exact = [t.position for t in one.layout.tokens if t.text == "cat"]
    assert words["cat"] == pytest.approx(float(row[exact].mean()))


def test_across_pictures_every_picture_is_drawn(visit):
    plain, view = (
        heat_view(visit, visit.request(**asked)) for asked in ({}, dict(words=("dog",), prompt=1, across=True))
    )
    for key, picture in plain.pictures.items():
        assert not np.array_equal(view.pictures[key], picture)
    assert len(view.words) == 4


def test_a_click_on_a_picture_is_on_the_patch_below_it(visit):
    assert patch_at(visit, 0, 0.0, 0.0) == (0, 0)
    assert patch_at(visit, 1, 0.99, 0.26) == (1, 3)
    assert patch_at(visit, 0, 1.0, 1.0) == (3, 3)  # the edge belongs to the last
    marked = heat_view(visit, visit.request(patches=((1, 3),), prompt=1)).pictures["base", 1]
    corner = SIDE // 4, 3 * SIDE // 4
    assert marked[corner].tolist() == [255, 255, 255]


def test_looking_changes_nothing_that_was_captured(visit):
    one = visit.made[0].records
    before = {(s, layer.name): [p.clone() for p in one.get(s, layer)] for s in one.steps for layer in one.layers}
    heat_view(visit, visit.request(words=("a",), prompt=0, across=True, affinity="value"))
    for (step, name), parts in before.items():
        layer = next(layer for layer in one.layers if layer.name == name)
        assert all(map(torch.equal, parts, one.get(step, layer)))


def test_clusters_have_a_legend_and_one_space_of_colours(visit, models):
    view = cluster_view(visit, visit.request(clusters=4), models.params)
    assert set(view.patches) == set(view.pictures) == {(one.model, one.prompt) for one in visit.made}
    assert 2 <= len(view.legend) <= 4
    assert sum(int(text.partition("%")[0]) for _, text in view.legend) == pytest.approx(100, abs=2)
    assert all(colour[0] == "#" and len(colour) == 7 for colour, _ in view.legend)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"words": ("bird",), "prompt": 0}, "'bird' is not in the prompt"),
        ({"words": ("a",), "prompt": 0, "blocks": (7,)}, "block 7 was not captured: there are 0, 1"),
        ({"words": ("a",), "prompt": 0, "steps": (2,)}, "step 2 was not captured: there are 0, 1"),
        ({"words": ("a",), "prompt": 0, "heads": (5,)}, "head 5 does not exist"),
        ({"patches": ((9, 0),), "prompt": 0}, "patch 9,0 does not exist"),
    ],
)
def test_what_is_not_there_is_one_line(visit, options, line):
    with pytest.raises(DifflabError, match=line):
        heat_view(visit, visit.request(**options))


def test_clusters_by_too_many_eigenvectors_are_one_line(visit, models):
    with pytest.raises(DifflabError, match="33 eigenvectors: 2 x 16 patches can be coloured by 2 to 32"):
        cluster_view(visit, visit.request(clusters=33), models.params)


def test_before_any_picture_there_is_nothing_to_ask_about():
    with pytest.raises(DifflabError, match="there are no pictures yet: make some first"):
        Visit().request()
