"""Tab Clusters: What the network takes for one thing."""

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from difflab.app.models import Models


def clusters_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    ui.label("What the network takes for one thing.").classes("text-gray-600")
