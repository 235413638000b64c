"""The class of each image of a store whose attributes are classes: exactly one is true."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.images.store.image_store import ImageStore


def class_names(store: "ImageStore", ids: Sequence[str]) -> list[str]:
    """The class of each id.

    Raises:
        DifflabError: the images have no classes, or one has several.
    """
    rows = store.attributes.loc[list(ids)]
    if rows.shape[1] == 0:
        raise DifflabError(f"the images of {store.folder} have no classes: choose another data set")
    if (odd := rows.sum(axis=1) != 1).any():
        raise DifflabError(f"image '{rows.index[odd][0]}' of {store.folder} has not exactly one class")
    return rows.idxmax(axis=1).tolist()
