"""Tab Generate: One prompt, the base and up to three adapters, from the same noise."""

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from difflab.app.models import Models


def generate_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    ui.label("One prompt, the base and up to three adapters, from the same noise.").classes("text-gray-600")
