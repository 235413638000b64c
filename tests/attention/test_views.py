"""Words and patches of generated pictures, under one model and two, in one picture and across several."""

import numpy as np
import pytest
import torch

from difflab.attention.affinity import affinities, tokens
from difflab.attention.heatmap import difference_overlay
from difflab.attention.layout import CLIP, T5, Layout, Token
from difflab.attention.views import (
    Choice,
    Made,
    Source,
    by_model,
    difference,
    patch_features,
    patch_source,
    rows,
    word_sources,
)
from difflab.core.base.errors import DifflabError

from .test_affinity import records


def placed(text):
    return Layout(2, 2, f"a {text}", (Token(CLIP, 4, "a", 0, 1), Token(CLIP, 5, text, 2, 5), Token(T5, 6, text, 2, 5)))


LAYOUTS = [placed("cat"), placed("dog")]


def made(model="base", seed=0):
    return [Made(model, n, np.zeros((4, 4, 3), np.uint8), LAYOUTS[n], records(7, seed=seed + n)) for n in range(2)]


def test_a_word_is_asked_about_in_each_prompt_that_has_it():
    assert word_sources(LAYOUTS, ["cat"]) == [Source("cat", 0, (5, 6))]
    assert [(s.name, s.prompt) for s in word_sources(LAYOUTS, ["a"])] == [("a", 0), ("a", 1)]
    assert [(s.name, s.prompt) for s in word_sources(LAYOUTS, [])] == [("a", 0), ("a", 1), ("cat", 0), ("dog", 1)]
    assert [s.prompt for s in word_sources(LAYOUTS, ["a"], prompt=1)] == [1]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (lambda: word_sources(LAYOUTS, ["bird"]), "'bird' is not in the prompt .* its tokens are 'a', 'cat'"),
        (lambda: word_sources(LAYOUTS, ["cat"], prompt=1), "'cat' is not in the prompt .* its tokens are 'a', 'dog'"),
        (lambda: word_sources(LAYOUTS, [" "]), "' ' is not in the prompt"),
        (lambda: word_sources(LAYOUTS, [], prompt=2), "prompt 2 does not exist: this request has prompts 0 to 1"),
        (lambda: patch_source(LAYOUTS, 0, 2), "patch 0,2 does not exist: the picture has columns 0 to 1"),
        (lambda: patch_source(LAYOUTS, -1, 0), "patch -1,0 does not exist: the picture has rows 0 to 1"),
        (lambda: patch_source(LAYOUTS, 0, 0, 5), "prompt 5 does not exist"),
    ],
)
def test_what_is_not_there_is_refused(asked, line):
    with pytest.raises(DifflabError, match=line):
        asked()


def test_within_its_own_picture_a_row_is_that_of_the_affinities():
    source = patch_source(LAYOUTS, 1, 0, prompt=1)
    found = rows(made(), source, Choice("key", blocks=(1,), steps=(0,)))
    assert list(found) == [1]
    expected = affinities(tokens([(records(7, seed=1), 0)], blocks=[1], steps=[0]), "key", [2])[0]
    torch.testing.assert_close(found[1], expected)


def test_across_pictures_rows_of_attention_sum_to_one_together():
    source = word_sources(LAYOUTS, ["dog"])[0]
    found = rows(made(), source, Choice(across=True))
    assert list(found) == [0, 1]
    assert abs(float(sum(row.sum() for row in found.values())) - 1) < 1e-5
    together = affinities(tokens([(one.records, 0) for one in made()]), "attention", [7 + 5, 7 + 6]).mean(0)
    torch.testing.assert_close(torch.cat(list(found.values())), together)


def test_the_difference_is_the_second_model_minus_the_first():
    source = patch_source(LAYOUTS, 0, 0)
    models = by_model([*made("tuned", seed=4)[::-1], *made("base")])
    assert [one.prompt for one in models["tuned"]] == [0, 1]
    found = {name: rows(of, source, Choice("query")) for name, of in models.items()}
    torch.testing.assert_close(difference(found)[0], found["base"][0] - found["tuned"][0])
    assert difference({"base": found["base"]}) == {}


def test_a_difference_is_red_above_zero_and_blue_below_on_one_scale():
    drawn = difference_overlay(np.zeros((4, 4, 3), np.uint8), torch.tensor([[1.0, -1.0], [0.5, 0.0]]), 1.0, 8).astype(
        int
    )
    more, less, half = drawn[0, 0], drawn[0, 4], drawn[4, 0]
    assert more[0] > more[2] + 50
    assert less[2] > less[0] + 50
    assert half[0] - half[2] < more[0] - more[2]
    assert (difference_overlay(np.zeros((4, 4, 3), np.uint8), torch.zeros(2, 2), 0.0, 8) < 120).all()


def test_features_of_patches_are_means_over_steps_with_blocks_side_by_side():
    one = made()[0]
    found = patch_features(one, Choice())
    attended = one.records.chosen()
    width = attended[0].output.shape[1] * attended[0].output.shape[3]
    steps, blocks = len(one.records.steps), len(attended) // len(one.records.steps)
    assert found.shape == (4, blocks * width)
    expected = torch.stack([attended[step * blocks].output[0, :, 1].flatten().float() for step in range(steps)]).mean(0)
    torch.testing.assert_close(found[1, :width], expected)
