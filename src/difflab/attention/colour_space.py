"""The patches of several pictures under several models in one space of colours, and the groups that they fall into."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from difflab.attention import ncut
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from torch import Tensor

GROUPS = 4
"""Groups of patches that a legend tells of, at most."""


class Coloured(NamedTuple):
    """The patches of all pictures under one model.

    Attributes:
        colours: float64 [pictures, patches, 3] in 0..1.
        groups: int64 [pictures, patches], the clusters of the first model; a patch of another belongs to the nearest.
    """

    colours: np.ndarray
    groups: np.ndarray


def in_one_space(features: Sequence["Tensor"], count: int, scale: float) -> list[Coloured]:
    """Colour the patches of the same pictures under one model or several, those of the first first.

    The features of a picture are centred on their own mean, since pictures differ from each other by more than their
    patches do, and would have a colour each. All are cut together; the colours of later models are turned to the
    first's (`ncut.coordinates`), so that one colour means one thing in every picture and under every model.

    Args:
        features: of each model, [pictures, patches, d].
        count: eigenvectors behind the colours, the first of which tells nothing.
        scale: of `ncut.similarity`.

    Raises:
        DifflabError: fewer than 2 eigenvectors, or more than there are patches.
    """
    pictures, patches, _ = features[0].shape
    if not 2 <= count <= pictures * patches:
        raise DifflabError(
            f"{count} eigenvectors: {pictures} x {patches} patches can be coloured by 2 to {pictures * patches}"
        )
    found: list[Coloured] = []
    reference = centres = None
    for one in features:
        cut = ncut.cut_features((one - one.mean(1, keepdim=True)).flatten(0, 1).numpy(), count, scale=scale)
        points = ncut.coordinates(cut, reference)
        if reference is None or centres is None:
            label, reference = ncut.clusters(cut, groups := min(GROUPS, count)), points
            centres = np.stack([points[label == n].mean(0) for n in range(groups) if (label == n).any()])
        nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
        shape = pictures, patches
        found.append(Coloured(ncut.in_colour(points).reshape(*shape, 3), nearest.reshape(shape)))
    return found


def group_colours(coloured: Coloured) -> dict[int, np.ndarray]:
    """The mean colour, uint8 [3], of each group that has patches."""
    return {
        int(n): np.rint(255 * coloured.colours[coloured.groups == n].mean(0)).astype(np.uint8)
        for n in np.unique(coloured.groups)
    }
