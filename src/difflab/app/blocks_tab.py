"""Tab Blocks: Which blocks matter."""

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from difflab.app.models import Models


def blocks_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    ui.label("Which blocks matter.").classes("text-gray-600")
