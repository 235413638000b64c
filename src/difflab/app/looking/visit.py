"""What one visitor has asked for and been shown: the tabs Attention and Clusters look at the same pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.attention import heatmap
from difflab.attention.colour_space import group_colours
from difflab.attention.sheets import coloured_patches, shares_of_groups
from difflab.attention.views import by_model, difference, patch_source
from difflab.cli.attention import Request, shown, sources_of, tensor_bytes, word_positions
from difflab.cli.attention_figures import clustered, found_for, marked
from difflab.core.base.errors import DifflabError
from difflab.images.sheet import scaled

if TYPE_CHECKING:
    from difflab.attention.layout import Layout
    from difflab.attention.views import Made, Source
    from difflab.cli.attention_capture import Sampling
    from difflab.study import Params

SIDE = 208  # pixels of a picture on the page
DIFFERENCE = "difference"


@dataclass
class Visit:
    """The pictures of a visitor with what was attended to, and who is told when there are other ones."""

    sampling: "Sampling | None" = None
    made: "list[Made]" = field(default_factory=list)
    listeners: list[Callable[[], object]] = field(default_factory=list)

    def show(self, sampling: "Sampling", made: "list[Made]") -> None:
        """Take other pictures in the place of the present ones."""
        self.sampling, self.made = sampling, made
        for listener in self.listeners:
            listener()

    def layouts(self) -> "list[Layout]":
        """Of each prompt's picture, under every model the same."""
        return [one.layout for one in next(iter(by_model(self.made).values()))]

    def request(self, **options) -> Request:
        """What the command line would ask for to show these pictures; options as of `Request`."""
        asked = self.sampling
        if asked is None:
            raise DifflabError("there are no pictures yet: make some first")
        return Request(
            asked.prompts, asked.models, num_inference_steps=asked.num_inference_steps,
            guidance_scale=asked.guidance_scale, seed=asked.seed, **options,
        )  # fmt: skip


@dataclass(frozen=True)
class HeatView:
    """What is drawn after a click.

    Attributes:
        pictures: uint8 [SIDE, SIDE, 3] by (model, prompt); of two models also under the model "difference".
        words: by (model, prompt), each word of the prompt with its affinity; empty without anything clicked.
        most: what full colour of a difference stands for, by prompt.
    """

    pictures: dict[tuple[str, int], np.ndarray]
    words: dict[tuple[str, int], list[tuple[str, float]]]
    most: dict[int, float]


def source_of(visit: Visit, request: Request) -> "Source | None":
    """The one word or patch that is asked about; None without any."""
    if not (request.words or request.patches):
        return None
    return sources_of(request, visit.layouts())[0]


def patch_at(visit: Visit, prompt: int, x: float, y: float) -> tuple[int, int]:
    """The (row, column) of the patch at a place of a picture, as shares of its width and height in 0..1."""
    layouts = visit.layouts()
    placed = layouts[prompt]
    row, column = (
        min(count - 1, max(0, int(share * count))) for share, count in ((y, placed.height), (x, placed.width))
    )
    patch_source(layouts, row, column, prompt)
    return row, column


def heat_view(visit: Visit, request: Request) -> HeatView:
    """The pictures with the heat map of what is asked about, and the plain ones where nothing is, all from memory."""
    source, models = source_of(visit, request), by_model(visit.made)
    plain = {(one.model, one.prompt): _plain(one) for one in visit.made}
    if source is None:
        return HeatView(plain, {}, {})
    found = found_for(visit.made, source, request.choice)
    pictures, words, most = dict(plain), {}, {}
    for model, own in models.items():
        for one in own:
            if (row := found[model].get(one.prompt)) is None:
                continue
            drawn = heatmap.overlay(one.picture, heatmap.on_patches(row, one.layout), SIDE)
            pictures[model, one.prompt] = marked(drawn, one, source)
            words[model, one.prompt] = word_values(one, row)
    for prompt, change in difference(found).items():
        one = list(models.values())[1][prompt]
        heat = heatmap.on_patches(change, one.layout)
        most[prompt] = float(heat.abs().max())
        pictures[DIFFERENCE, prompt] = heatmap.difference_overlay(one.picture, heat, most[prompt], SIDE)
    return HeatView(pictures, words, most)


def _plain(one: "Made") -> np.ndarray:
    return np.asarray(scaled(one.picture, SIDE))


def word_values(one: "Made", row: torch.Tensor) -> list[tuple[str, float]]:
    """The mean of a row [tokens] over the tokens of each word of the prompt."""
    return [(word, float(row[list(word_positions(one.layout, word))].mean())) for word in one.layout.words()]


@dataclass(frozen=True)
class ClusterView:
    """Pictures and patches in colour, uint8 [SIDE, SIDE, 3], by (model, prompt), and the legend: colour and text."""

    pictures: dict[tuple[str, int], np.ndarray]
    patches: dict[tuple[str, int], np.ndarray]
    legend: list[tuple[str, str]]


def cluster_view(visit: Visit, request: Request, params: "Params") -> ClusterView:
    """The patches of all pictures in one space of colours."""
    found = clustered(visit.made, request.choice, int(request.clusters or 0), params.attention_maps.similarity_scale)
    models, patches = by_model(visit.made), {}
    for model, coloured in found.items():
        for number, one in enumerate(models[model]):
            grid = one.layout.height, one.layout.width
            patches[model, one.prompt] = coloured_patches(coloured.colours[number], grid, SIDE)
    first = found[next(iter(models))]
    colours, said = group_colours(first), shares_of_groups(first)
    legend = [("#{:02x}{:02x}{:02x}".format(*map(int, colours[n])), text) for n, text in said.items()]
    return ClusterView({(one.model, one.prompt): _plain(one) for one in visit.made}, patches, legend)


def exported(visit: Visit, request: Request, params: "Params") -> tuple[bytes, bytes]:
    """The PNG and the safetensors file that `difflab attention` writes for this request."""
    sources = [] if request.clusters is not None else sources_of(request, visit.layouts())
    picture, tensors, _ = shown(request, visit.made, sources, params)
    return picture, tensor_bytes(tensors, request)
