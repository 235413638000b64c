"""The figure of looks: pictures, their masks, heat maps and clusters before and after fine-tuning."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from difflab.attention.colour_space import Coloured, group_colours, in_one_space
from difflab.attention.heatmap import overlay
from difflab.attention.scores import truth
from difflab.core.base.errors import DifflabError
from difflab.images.generated.writer import figure_drawn
from difflab.images.sheet import rows_sheet, scaled

if TYPE_CHECKING:
    import pandas as pd

    from difflab.attention.noised import Seen
    from difflab.attention.params import AttentionMapsParams
    from difflab.attention.pictures import Picture
    from difflab.core.base.store.image_store import ImageStore

SIDE = 144  # pixels of a picture
EIGENVECTORS = 8  # behind the colours of the clusters
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
    features = [torch.stack([seen[n].features[block] for n in chosen]) for seen in looked]
    count = min(EIGENVECTORS, features[0].shape[0] * features[0].shape[1])
    coloured = in_one_space(features, count, settings.similarity_scale)
    rows = []
    for row, (n, image) in enumerate(zip(chosen, store.read([shown[n].id for n in chosen]), strict=True)):
        picture, placed = np.asarray(image.convert("RGB")), shown[n].layout
        if withheld:
            picture = figure_drawn(min(picture.shape[:2]))
        made, grid = [picture], (placed.height, placed.width)
        part = next(iter(shown[n].parts.values()), None)
        if part is not None:
            made.append(_lit(picture, part.mask))
            made += [overlay(picture, seen[n].heat[0, :, block].mean(0).reshape(grid), SIDE) for seen in looked]
        mask = None if part is None else part.mask
        made += [coloured_patches(one.colours[row], grid, mask=mask) for one in coloured]
        rows.append((f"{part.word}: {placed.prompt}" if part else placed.prompt, made))
    titles = ["picture", *(["its mask", *(f"attention {name}" for name in NAMES)] if _parts(shown, chosen) else [])]
    sheet = rows_sheet(rows, side=SIDE, titles=[*titles, *(f"clusters {name}" for name in NAMES)])
    return with_legend(sheet, group_colours(coloured[0]), _said_of(coloured[0], [shown[n] for n in chosen], settings))


def _said_of(coloured: Coloured, shown: Sequence["Picture"], settings: "AttentionMapsParams") -> dict[int, str]:
    """What a legend says of each group: its share of the patches, and how many of them show the thing."""
    shares = [next(iter(picture.parts.values())).shares for picture in shown if picture.parts]
    if len(shares) < len(shown):
        return shares_of_groups(coloured)
    true = truth(torch.stack(shares), settings.coverage).numpy()
    said = shares_of_groups(coloured)
    return {n: f"{text}, {true[coloured.groups == n].mean():.0%} on the thing" for n, text in said.items()}


def shares_of_groups(coloured: Coloured) -> dict[int, str]:
    """The share of all patches of each group, as a legend says it."""
    return {n: f"{(coloured.groups == n).mean():.0%} of patches" for n in group_colours(coloured)}


def with_legend(sheet: Image.Image, colours: Mapping[int, np.ndarray], said: Mapping[int, str]) -> Image.Image:
    """A sheet with a line below: a field of the mean colour of each group, and what is said of the group."""
    font, gap, field = ImageFont.load_default(11), 6, 22  # pixels
    entries = [(colours[n], text) for n, text in said.items()]
    note = "One colour means one thing in all pictures. Its groups:"
    width = sum(round(font.getlength(text)) + field + 3 * gap for _, text in entries)
    canvas = Image.new(
        "RGB", (max(sheet.width, width, round(font.getlength(note)) + 2 * gap), sheet.height + 52), "white"
    )
    canvas.paste(sheet)
    draw, left = ImageDraw.Draw(canvas), gap
    draw.text((left, sheet.height + 4), note, "#333333", font)
    for colour, text in entries:
        top = sheet.height + 24
        draw.rectangle([left, top, left + field, top + field], tuple(map(int, colour)))
        draw.text((left + field + gap, top + 4), text, "#333333", font)
        left += round(font.getlength(text)) + field + 3 * gap
    return canvas


def _parts(shown: Sequence["Picture"], chosen: Sequence[int]) -> bool:
    return any(shown[n].parts for n in chosen)


def _block(table: "pd.DataFrame") -> int:
    """The block that points best in the half that chooses; the first where nothing was scored."""
    choice = table[(table.half == "choice") & (table.model != "pretrained")]
    return int(choice.groupby("block")["pointing_accuracy"].mean().idxmax()) if len(choice) else 0


def coloured_patches(
    colours: np.ndarray, grid: tuple[int, int], side: int = SIDE, mask: np.ndarray | None = None
) -> np.ndarray:
    """Colours [patches, 3] in 0..1 as a picture `side` pixels long, uint8; black where the mask [H, W] has its edge."""
    from scipy.ndimage import binary_erosion

    made = np.array(scaled(np.rint(255 * colours.reshape(*grid, 3)).astype(np.uint8), side))
    if mask is not None:
        size = made.shape[1], made.shape[0]
        inside = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)) > 0
        made[inside & ~binary_erosion(inside, iterations=2)] = 0
    return made


def _lit(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture, dark where the mask is not: uint8 [H, W, 3]."""
    size = picture.shape[1], picture.shape[0]
    light = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    return (picture * np.where(light, 1.0, 0.2)[..., None]).astype(np.uint8)
