"""One look for all pictures, and PNG files with the same bytes every time."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from difflab.core.base.files import png_bytes, write_bytes

DPI = 160
WIDTH = 7.2  # inches; the width of a page in the report


TEXT, MUTED, GRID = "#1c2230", "#667085", "#e4e7ec"
COLOURS = {"pretrained": "#8a93a3", "minus": "#0072b2", "zero": "#d98200", "plus": "#009e73"}
"""Of the columns of the SD3 study; the colour-blind can tell them apart too (Okabe and Ito)."""
LINE_STYLES = {"blip2": "-", "llama3": (0, (4, 2))}


def figure(columns: int = 1, rows: int = 1, height: float = 3.0, **options) -> tuple[Figure, list]:
    """A figure of the report's width and its axes as a flat list; for functions given to `render`."""
    result, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options)
    return result, list(axes.flat)


def render(draw: Callable[[], Figure], path: Path) -> None:
    """Draw and write a PNG of 256 colours, without dates or version strings."""
    buffer = io.BytesIO()
    with plt.rc_context(SETTINGS):
        result = draw()
        result.savefig(buffer, dpi=DPI, format="png")
        plt.close(result)
    with Image.open(buffer) as image:
        write_bytes(path, png_bytes(image.convert("RGB").quantize(256, dither=Image.Dither.NONE)))


SETTINGS: dict[Any, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.edgecolor": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=list(COLOURS.values())),
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.labelcolor": TEXT,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "lines.linewidth": 1.6,
    "grid.linewidth": 0.7,
}
