"""One look for all pictures, for light and for dark pages, and PNG files with the same bytes every time."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from difflab.core.base.files import png_bytes, write_bytes

DPI = 160
WIDTH = 7.2  # inches; the width of a page in the report


@dataclass(frozen=True)
class Theme:
    """Colours of one page. `cells` are told apart by the colour-blind too (Okabe and Ito), also by line
    style."""

    name: str
    background: str
    text: str
    muted: str
    grid: str
    cells: dict[str, str]


LIGHT = Theme(
    "light", "#ffffff", "#1c2230", "#667085", "#e4e7ec",
    {"pretrained": "#8a93a3", "minus": "#0072b2", "zero": "#d98200", "plus": "#009e73"},
)  # fmt: skip
DARK = Theme(
    "dark", "#161a22", "#e8eaf0", "#98a2b3", "#2b3240",
    {"pretrained": "#7d8799", "minus": "#56b4e9", "zero": "#f0a830", "plus": "#2fc79b"},
)  # fmt: skip
THEMES = (LIGHT, DARK)
LINE_STYLES = {"blip2": "-", "llama3": (0, (4, 2))}


def figure(columns: int = 1, rows: int = 1, height: float = 3.0, **options) -> tuple[Figure, list]:
    """A figure of the report's width and its axes as a flat list; for functions given to `render`."""
    result, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options
    )
    return result, list(axes.flat)


def render(draw: Callable[[Theme], Figure], theme: Theme, path: Path) -> None:
    """Draw in the theme and write a PNG of 256 colours, without dates or version strings."""
    buffer = io.BytesIO()
    with plt.rc_context(_settings(theme)):
        result = draw(theme)
        result.savefig(buffer, dpi=DPI, format="png")
        plt.close(result)
    with Image.open(buffer) as image:
        write_bytes(path, png_bytes(image.convert("RGB").quantize(256, dither=Image.Dither.NONE)))


def _settings(theme: Theme) -> dict[str, object]:
    return {
        "figure.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "text.color": theme.text,
        "axes.labelcolor": theme.text,
        "axes.titlecolor": theme.text,
        "axes.edgecolor": theme.grid,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "grid.color": theme.grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=list(theme.cells.values())),
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.labelsize": 8.5,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "legend.labelcolor": theme.text,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "lines.linewidth": 1.6,
        "grid.linewidth": 0.7,
    }
