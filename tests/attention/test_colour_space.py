"""Patches of several pictures and models in one space of colours."""

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.attention.colour_space import Coloured, group_colours, in_one_space
from difflab.attention.sheets import coloured_patches, shares_of_groups, with_legend
from difflab.core.base.errors import DifflabError

THING = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]])


def features(seed=0, noise=0.05):
    """Three pictures of 4 patches: a thing and a ground, upon something that only the picture has, and much of it."""
    generator = torch.Generator().manual_seed(seed)
    own = 10 * torch.randn(3, 1, 8, generator=generator)
    return own + torch.eye(8)[THING] + noise * torch.randn(3, 4, 8, generator=generator)


def test_a_thing_has_one_colour_in_all_pictures_whatever_else_they_differ_in():
    (found,) = in_one_space([features()], 3, 0.5)
    thing, ground = (found.colours[THING.eq(n).numpy()] for n in (1, 0))
    assert np.linalg.norm(thing.mean(0) - ground.mean(0)) > 5 * max(thing.std(0).max(), ground.std(0).max())
    assert len(set(found.groups[THING.eq(1).numpy()]) & set(found.groups[THING.eq(0).numpy()])) == 0


def test_another_model_s_colours_mean_the_same():
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1))).Q
    first, second = in_one_space([features(), features(seed=5) @ turn], 3, 0.5)
    for n in (0, 1):
        at = THING.eq(n).numpy()
        assert np.abs(first.colours[at].mean(0) - second.colours[at].mean(0)).max() < 0.15
        assert set(second.groups[at]) <= set(first.groups[at])


@pytest.mark.parametrize("count", [1, 13])
def test_a_number_of_eigenvectors_that_cannot_be_is_refused(count):
    with pytest.raises(DifflabError, match=f"{count} eigenvectors: 3 x 4 patches can be coloured by 2 to 12"):
        in_one_space([features()], count, 0.5)


def test_a_legend_shows_each_group_s_mean_colour_and_share():
    colours = np.zeros((1, 4, 3))
    colours[0, 3] = 1.0
    found = Coloured(colours, np.array([[0, 0, 0, 2]]))
    assert {n: c.tolist() for n, c in group_colours(found).items()} == {0: [0, 0, 0], 2: [255, 255, 255]}
    said = shares_of_groups(found)
    assert said == {0: "75% of patches", 2: "25% of patches"}
    sheet = np.asarray(
        with_legend(Image.new("RGB", (400, 30), "red"), {0: np.array([1, 2, 3]), 2: colours[0, 3]}, said)
    )
    assert (sheet[:30, :400] == (255, 0, 0)).all()
    assert (sheet[30:] == (1, 2, 3)).all(-1).sum() > 200


def test_the_edge_of_a_mask_is_black_on_the_colours_and_its_middle_is_not():
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    drawn = coloured_patches(np.full((4, 3), 0.5), (2, 2), 64, mask)
    assert drawn[17, 17].tolist() == [0, 0, 0]
    assert drawn[32, 32].tolist() == drawn[2, 2].tolist() == [128, 128, 128]
