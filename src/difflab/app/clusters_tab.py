"""Tab Clusters: which patches a block treats alike, in one space of colours for all pictures and both models."""

import asyncio
from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.attention_tab import visit_of_page
from difflab.app.looking.commands import attention_command
from difflab.app.looking.exports import exports
from difflab.app.looking.form import as_source
from difflab.app.looking.visit import SIDE, ClusterView, cluster_view, exported
from difflab.app.telling import guarded
from difflab.attention.sheets import EIGENVECTORS
from difflab.attention.views import by_model

if TYPE_CHECKING:
    from difflab.app.models import Models
    from difflab.cli.attention import Request


def clusters_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    _Tab(models)


class _Tab:
    """The components of one visitor's tab, and what they do."""

    def __init__(self, models: "Models") -> None:
        self.params, self.visit, self.asked = models.params, visit_of_page(), 0
        with ui.row().classes("w-full gap-6 items-start flex-nowrap max-md:flex-wrap"):
            with ui.card().classes("w-[24rem] max-w-full shrink-0"):
                ui.label(
                    "Patches whose outputs of attention are alike have one colour: in every picture and under both models. "
                    "The pictures are those of the tab Attention."
                ).classes("text-sm text-gray-600")
                self.count = ui.number("Eigenvectors", value=EIGENVECTORS, min=2, precision=0)
                with ui.row().classes("w-full no-wrap gap-3"):
                    self.block, self.step = (
                        ui.number(name, placeholder="all", min=0, precision=0).props("clearable stack-label")
                        for name in ("Block", "Step")
                    )
                note = (
                    "More eigenvectors tell finer differences. Empty is the mean of all. docs/attention.md says more."
                )
                ui.label(note).classes("text-xs text-gray-600")
            with ui.card().classes("grow min-w-0"):
                self.area = ui.column().classes("w-full gap-4")
                with self.area:
                    ui.label("Make pictures in the tab Attention: they are shown here too.").classes("text-gray-500")
                self.legend = ui.row().classes("w-full gap-4 items-center")
                exports("clusters", lambda: exported(self.visit, self._request(), self.params), self._command)
        for field in (self.count, self.block, self.step):
            field.on_value_change(self._refresh)
        self.visit.listeners.append(lambda: asyncio.ensure_future(self._refresh()))

    async def _refresh(self) -> None:
        """Colour the patches, from memory and beside the queue; only the last of quick changes is shown."""
        if not self.visit.made or self.count.value is None:
            return
        self.asked += 1
        asked = self.asked
        with self.area, guarded():
            view = await asyncio.to_thread(cluster_view, self.visit, self._request(), self.params)
            if asked == self.asked:
                self._draw(view)

    def _draw(self, view: ClusterView) -> None:
        self.area.clear()
        models = by_model(self.visit.made)
        with self.area:
            for number, first in enumerate(next(iter(models.values()))):
                ui.label(first.layout.prompt).classes("text-sm font-medium -mb-3")
                with ui.row().classes("gap-4"):
                    for model in models:
                        with ui.column().classes("gap-1"):
                            with ui.row().classes(f"gap-1 no-wrap clusters-{model}-{number}"):
                                for picture in (view.pictures[model, number], view.patches[model, number]):
                                    ui.image(as_source(picture)).style(f"width: {SIDE * 3 // 4}px").classes("rounded")
                            ui.label(model).classes("text-xs text-gray-600")
        self.legend.clear()
        with self.legend:
            for colour, text in view.legend:
                with ui.row().classes("items-center gap-2"):
                    ui.element("div").classes("w-5 h-5 rounded").style(f"background-color: {colour}")
                    ui.label(text).classes("text-sm")

    def _request(self) -> "Request":
        fields = {"blocks": self.block, "steps": self.step}
        chosen = {name: None if field.value is None else (int(field.value),) for name, field in fields.items()}
        return self.visit.request(clusters=int(self.count.value or 0), **chosen)

    def _command(self) -> str:
        return attention_command(self._request())
