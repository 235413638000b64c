"""The figure of looks: pictures, their masks, heat maps and clusters before and after fine-tuning."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from difflab.attention import ncut
from difflab.attention.heatmap import overlay
from difflab.core.base.errors import DifflabError
from difflab.images.generated.writer import figure_drawn
from difflab.images.sheet import rows_sheet

if TYPE_CHECKING:
    import pandas as pd

    from difflab.attention.noised import Seen
    from difflab.attention.params import AttentionMapsParams
    from difflab.attention.pictures import Picture
    from difflab.core.base.store.image_store import ImageStore

_SIDE = 112  # pixels of a picture
_EIGENVECTORS = 8  # behind the colours of the clusters
NAMES = "before", "after"


def other_size(found: Sequence[int], size: int) -> DifflabError:
    """The error of latents of another size than the transformer takes."""
    return DifflabError(
        f"pictures have latents of {' x '.join(map(str, found))}, the transformer takes {size} x {size}: "
        "set cache.latents.image_size to the size of the base"
    )


def drawn(shown: Sequence["Picture"], count: int) -> list[int]:
    """The first pictures, of those that are scored where there are any: their places in `shown`."""
    return ([n for n, picture in enumerate(shown) if picture.parts and picture.scored] or list(range(len(shown))))[
        :count
    ]


def before_after(
    store: "ImageStore",
    shown: Sequence["Picture"],
    looked: Sequence[Mapping[int, "Seen"]],
    table: "pd.DataFrame",
    settings: "AttentionMapsParams",
    withheld: bool = False,
) -> Image.Image:
    """A row for each of the `drawn` pictures, with the word and the prompt to its left.

    Heat maps and clusters are of the block that was chosen, means over steps; colours are of all rows together, those
    after fine-tuning turned to those before.

    Args:
        looked: at each of them, by the model before and by one after fine-tuning.
        withheld: draw a figure in the place of the pictures, which show people.
    """
    chosen = drawn(shown, settings.shown)
    block = _block(table)
    colours = _colours([[seen[n] for n in chosen] for seen in looked], block, settings.similarity_scale)
    rows = []
    for row, (n, image) in enumerate(zip(chosen, store.read([shown[n].id for n in chosen]), strict=True)):
        picture, placed = np.asarray(image.convert("RGB")), shown[n].layout
        if withheld:
            picture = figure_drawn(min(picture.shape[:2]))
        made, grid = [picture], (placed.height, placed.width)
        part = next(iter(shown[n].parts.values()), None)
        if part is not None:
            made.append(_lit(picture, part.mask))
            made += [overlay(picture, seen[n].heat[0, :, block].mean(0).reshape(grid), _SIDE) for seen in looked]
        made += [_patches(colour[row], grid) for colour in colours]
        rows.append((f"{part.word}: {placed.prompt}" if part else placed.prompt, made))
    titles = ["picture", *(["its mask", *(f"attention {name}" for name in NAMES)] if _parts(shown, chosen) else [])]
    return rows_sheet(rows, side=_SIDE, titles=[*titles, *(f"clusters {name}" for name in NAMES)])


def _parts(shown: Sequence["Picture"], chosen: Sequence[int]) -> bool:
    return any(shown[n].parts for n in chosen)


def _block(table: "pd.DataFrame") -> int:
    """The block that points best in the half that chooses; the first where nothing was scored."""
    choice = table[(table.half == "choice") & (table.model != "pretrained")]
    return int(choice.groupby("block")["pointing_accuracy"].mean().idxmax()) if len(choice) else 0


def _colours(looked: Sequence[Sequence["Seen"]], block: int, scale: float) -> list[np.ndarray]:
    """For each model the colours float64 [pictures, patches, 3] of all pictures' patches together, all models alike."""
    found: list[np.ndarray] = []
    reference = None
    for seen in looked:
        features = torch.stack([s.features[block] for s in seen])
        flat = (features - features.mean((0, 1))).flatten(0, 1).numpy()
        cut = ncut.cut_features(flat, min(_EIGENVECTORS, len(flat)), scale=scale)
        points = ncut.coordinates(cut, reference)
        reference = points if reference is None else reference
        found.append(ncut.in_colour(points).reshape(*features.shape[:2], 3))
    return found


def _patches(colours: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Colours [patches, 3] in 0..1 as a picture of one pixel each: uint8 [h, w, 3]."""
    return np.rint(255 * colours.reshape(*grid, 3)).astype(np.uint8)


def _lit(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture, dark where the mask is not: uint8 [H, W, 3]."""
    size = picture.shape[1], picture.shape[0]
    light = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    return (picture * np.where(light, 1.0, 0.2)[..., None]).astype(np.uint8)
