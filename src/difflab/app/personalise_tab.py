"""Tab Personalise: A subject of a few pictures is taught to the base."""

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from difflab.app.models import Models


def personalise_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    ui.label("A subject of a few pictures is taught to the base.").classes("text-gray-600")
