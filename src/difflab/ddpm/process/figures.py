"""The pictures of the process analysis."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

PANELS = {
    "recovered": ("held-out images at this noise", "share of the image that the model finds"),
    "decided": ("samples along the trajectory", "share of the final image that is fixed"),
}


def spectrum_figure(table: pd.DataFrame) -> Figure:
    """How much of each band is there against sigma, a panel for each `measure`; table as of `spectrum.recovered_table`."""
    figure = Figure(figsize=(9.5, 3.8), dpi=150, layout="constrained")
    axes = figure.subplots(1, len(PANELS), sharey=True)
    bands = table["band"].max() + 1
    for axis, (measure, (title, label)) in zip(axes, PANELS.items(), strict=True):
        panel = table[table["measure"] == measure].sort_values("sigma")
        for band, rows in panel.groupby("band"):
            colour = colormaps["viridis"](band / max(1, bands - 1) * 0.9)
            name = f"{band / bands:.2g} to {(band + 1) / bands:.2g} of Nyquist"
            axis.plot(rows["sigma"], rows["expected_share"], color=colour, linewidth=1.2)
            axis.plot(rows["sigma"], rows["share"], "o", color=colour, ms=3, label=name)
        axis.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
        axis.set(xscale="log", xlim=(min(panel["sigma"].max(), 100), panel["sigma"].min()), ylim=(0, 1.15))
        axis.set_xlabel("noise \N{GREEK SMALL LETTER SIGMA} (sampling goes to the right)")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(title, fontsize=9)
        axis.set_ylabel(label, fontsize=8)
    axes[0].legend(title="spatial frequency", fontsize=7, title_fontsize=8, frameon=False)
    figure.suptitle("points: the model, lines: closed form for this spectrum", fontsize=9)
    return figure


def attention_figure(prompts: Sequence[str], images: np.ndarray, maps: Tensor) -> Figure:
    """A row for each prompt: the image, uint8 [n, H, W, 3], then where each of its words acts, each map (float32
    [n, tokens, H, W]) on its own scale.
    """
    columns = 1 + max(len(prompt.split()) for prompt in prompts)
    figure = Figure(figsize=(1.3 * columns, 1.45 * len(prompts)), dpi=150, layout="constrained")
    grid = figure.subplots(len(prompts), columns, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    for row, prompt in enumerate(prompts):
        grid[row, 0].imshow(images[row])
        grid[row, 0].set_title(f"\N{LEFT DOUBLE QUOTATION MARK}{prompt}\N{RIGHT DOUBLE QUOTATION MARK}", fontsize=7)
        for column, word in enumerate(prompt.split()):
            grid[row, column + 1].imshow(images[row].mean(-1), cmap="gray", alpha=0.5)
            grid[row, column + 1].imshow(maps[row, column].numpy(), cmap="plasma", alpha=0.7)
            grid[row, column + 1].set_title(word, fontsize=7)
    return figure
