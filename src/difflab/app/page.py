"""The page of one visitor: a title and a tab for each thing to do. All of its state is local to the visitor."""

from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.attention_tab import attention_tab
from difflab.app.blocks_tab import blocks_tab
from difflab.app.clusters_tab import clusters_tab
from difflab.app.generate_tab import generate_tab
from difflab.app.personalise_tab import personalise_tab

if TYPE_CHECKING:
    from difflab.app.models import Models

TABS = {
    "Personalise": ("add_photo_alternate", personalise_tab),
    "Generate": ("brush", generate_tab),
    "Attention": ("visibility", attention_tab),
    "Clusters": ("bubble_chart", clusters_tab),
    "Blocks": ("layers", blocks_tab),
}


def page(models: "Models") -> None:
    """Build the page; NiceGUI calls this once for each visitor, so that what is local here is the visitor's own."""
    ui.colors(primary="#2f5d8a", secondary="#5b7a99", accent="#c8553d")
    with ui.header().classes("items-center justify-between py-2"):
        with ui.row().classes("items-baseline gap-3"):
            ui.label("difflab").classes("text-2xl font-bold")
            ui.label("diffusion models, looked at and taught").classes("text-sm opacity-80")
        with ui.tabs() as tabs:
            for name, (icon, _) in TABS.items():
                ui.tab(name, icon=icon)
    with ui.tab_panels(tabs, value=next(iter(TABS))).classes("w-full max-w-6xl mx-auto bg-transparent"):
        for name, (_, build) in TABS.items():
            with ui.tab_panel(name):
                build(models)
