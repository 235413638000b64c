"""The figures and tensors of generated pictures: heat maps of words and patches, their differences, clusters in colour."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.attention import heatmap
from difflab.attention.colour_space import Coloured, group_colours, in_one_space
from difflab.attention.sheets import coloured_patches, shares_of_groups, with_legend
from difflab.attention.views import Choice, Made, Source, by_model, difference, patch_features, rows
from difflab.core.base.files import png_bytes
from difflab.images.sheet import rows_sheet

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 160  # pixels of a picture
_MARK = np.array((255, 255, 255), np.uint8)  # around the patch that is asked about

Found = dict[str, dict[int, "Tensor"]]
"""By model, then by prompt: the affinity of a source to the tokens of that picture."""


def found_for(made: Sequence[Made], source: Source, choice: Choice) -> Found:
    """What a source attends to under each model."""
    return {model: rows(own, source, choice) for model, own in by_model(made).items()}


def columns(sources: Sequence[Source], across: bool) -> dict[str, list[Source]]:
    """Sources by column: one word of several prompts has one column, across pictures one for each prompt."""
    found: dict[str, list[Source]] = {}
    several = len({source.prompt for source in sources}) > 1
    for source in sources:
        title = f"{source.name} (prompt {source.prompt})" if across and several else source.name
        found.setdefault(title, []).append(source)
    return found


def attention_png(made: Sequence[Made], sources: Sequence[Source], choice: Choice) -> bytes:
    """The pictures with the heat map of each source, a row for each prompt and model, and for the difference of two."""
    titled = columns(sources, choice.across)
    found = {source: found_for(made, source, choice) for source in sources}
    models, drawn = by_model(made), []
    for number in range(len(next(iter(models.values())))):
        for model, own in models.items():
            one = own[number]
            tiles = [one.picture]
            for of in titled.values():
                tiles.append(_tile(one, [(s, found[s][model].get(number)) for s in of]))
            drawn.append((_name(one, models), tiles))
        if len(models) == 2:
            drawn.append(_difference_row([own[number] for own in models.values()], titled, found))
    return png_bytes(heatmap.sheet(drawn, ["picture", *titled], SIDE))


def _name(one: Made, models: Sequence[str] | dict) -> str:
    return f"{one.layout.prompt} ({one.model})" if len(models) > 1 else one.layout.prompt


def _tile(one: Made, found: "Sequence[tuple[Source, Tensor | None]]") -> np.ndarray:
    """The map of the source that has one in this picture; white where none has."""
    for source, row in found:
        if row is not None:
            return marked(heatmap.overlay(one.picture, heatmap.on_patches(row, one.layout), SIDE), one, source)
    return np.full((SIDE, SIDE, 3), 255, np.uint8)


def marked(drawn: np.ndarray, one: Made, source: Source) -> np.ndarray:
    """A copy with a frame around the patch that is asked about, in the picture that it is of."""
    drawn, placed = drawn.copy(), one.layout
    if source.prompt != one.prompt or source.positions[0] >= placed.patches:
        return drawn
    row, column = divmod(source.positions[0], placed.width)
    height, width = drawn.shape[0] / placed.height, drawn.shape[1] / placed.width
    top, bottom, left, right = (
        round(x) for x in (row * height, (row + 1) * height, column * width, (column + 1) * width)
    )
    drawn[top : top + 2, left:right] = drawn[bottom - 2 : bottom, left:right] = _MARK
    drawn[top:bottom, left : left + 2] = drawn[top:bottom, right - 2 : right] = _MARK
    return drawn


def _difference_row(
    pair: Sequence[Made], titled: dict[str, list[Source]], found: dict[Source, Found]
) -> tuple[str, list[np.ndarray]]:
    first, second = pair
    changes: list[Tensor | None] = []
    for of in titled.values():
        known = (difference(found[source]).get(second.prompt) for source in of)
        row = next((row for row in known if row is not None), None)
        changes.append(None if row is None else heatmap.on_patches(row, second.layout))
    most = max((float(change.abs().max()) for change in changes if change is not None), default=0.0)
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    drawn = [
        blank if change is None else heatmap.difference_overlay(second.picture, change, most, SIDE)
        for change in changes
    ]
    return (f"{second.model} minus {first.model}: red more, blue less, full colour at {most:.2g}", [blank, *drawn])


def attention_tensors(made: Sequence[Made], sources: Sequence[Source], choice: Choice) -> "dict[str, Tensor]":
    """What the figure shows: under `<model>/<prompt>/` the `picture` uint8 [H, W, 3], for each column `<title>/heat`
    float32 [h, w] and `<title>/row` float32 [T], the affinity to all tokens of that picture; of two models the second
    minus the first under `difference/<prompt>/<title>/`.
    """
    tensors = pictures_of(made)
    grids = {one.prompt: one.layout for one in made}
    for title, of in columns(sources, choice.across).items():
        for source in of:
            found = found_for(made, source, choice)
            both = {**found, "difference": change} if (change := difference(found)) else found
            for model, by_prompt in both.items():
                for number, row in by_prompt.items():
                    name = f"{model}/{number}/{title}"
                    tensors[f"{name}/row"] = row.contiguous()
                    tensors[f"{name}/heat"] = heatmap.on_patches(row, grids[number])
    return tensors


def pictures_of(made: Sequence[Made]) -> "dict[str, Tensor]":
    """`<model>/<prompt>/picture`, uint8 [H, W, 3]."""
    return {f"{one.model}/{one.prompt}/picture": torch.from_numpy(one.picture.copy()) for one in made}


def clustered(made: Sequence[Made], choice: Choice, count: int, scale: float) -> dict[str, Coloured]:
    """The patches of all pictures in one space of colours, by model; see `in_one_space`."""
    models = by_model(made)
    features = [torch.stack([patch_features(one, choice) for one in own]) for own in models.values()]
    return dict(zip(models, in_one_space(features, count, scale), strict=True))


def clusters_png(made: Sequence[Made], coloured: dict[str, Coloured]) -> bytes:
    """The pictures with their patches in colour, a row for each prompt, two columns for each model, and a legend."""
    models, drawn = by_model(made), []
    for number, first in enumerate(next(iter(models.values()))):
        tiles = []
        for model, own in models.items():
            one = own[number]
            grid = one.layout.height, one.layout.width
            tiles += [one.picture, coloured_patches(coloured[model].colours[number], grid, SIDE)]
        drawn.append((first.layout.prompt, tiles))
    titles = [title for model in models for title in (model, f"clusters of {model}")]
    sheet = rows_sheet(drawn, SIDE, titles)
    first = coloured[next(iter(models))]
    return png_bytes(with_legend(sheet, group_colours(first), shares_of_groups(first)))


def clusters_tensors(made: Sequence[Made], coloured: dict[str, Coloured]) -> "dict[str, Tensor]":
    """Under `<model>/<prompt>/` the `picture`, `colours` float32 [h, w, 3] in 0..1 and `groups` int64 [h, w]."""
    tensors = pictures_of(made)
    models = by_model(made)
    for model, found in coloured.items():
        for number, one in enumerate(models[model]):
            grid, name = (one.layout.height, one.layout.width), f"{model}/{one.prompt}"
            tensors[f"{name}/colours"] = torch.from_numpy(found.colours[number].astype(np.float32)).reshape(*grid, 3)
            tensors[f"{name}/groups"] = torch.from_numpy(found.groups[number].copy()).reshape(grid)
    return tensors
