"""Tab Attention: Where the words of a prompt look."""

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from difflab.app.models import Models


def attention_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    ui.label("Where the words of a prompt look.").classes("text-gray-600")
