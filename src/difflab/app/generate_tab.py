"""Tab Generate: one prompt, the base and up to three adapters, from the same noise."""

from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.looking.commands import generate_command
from difflab.app.looking.exports import exports
from difflab.app.looking.form import Form, Work, as_source
from difflab.app.looking.work import MOST_ADAPTERS, Run, side_by_side
from difflab.cli.sampling import Request
from difflab.cli.side_by_side import Pictures, sheet_png, tensor_bytes
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.app.models import Models

_SHOWN = 224  # pixels


def generate_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    _Tab(models)


class _Tab:
    """The components of one visitor's tab, and what they do."""

    def __init__(self, models: "Models") -> None:
        self.made: Pictures | None = None
        self.request, self.chosen = Request(""), ()
        with ui.row().classes("w-full gap-6 items-start flex-nowrap max-md:flex-wrap"):
            with ui.card().classes("w-[24rem] max-w-full shrink-0"):
                note = "One prompt by the base and its adapters, from the same noise."
                ui.label(note).classes("text-sm text-gray-600")
                self.form = Form(models, "generate", 1, MOST_ADAPTERS + 1, self._make, self._show, negative=True)
            with ui.card().classes("grow min-w-0"):
                self.pictures = ui.row().classes("w-full gap-3")
                with self.pictures:
                    ui.label("What is made is shown here.").classes("text-gray-500")
                exports("generated", self._files, self._command)

    def _make(self, form: Form) -> Work:
        negative = form.negative.value if form.negative else ""
        self.pending = Request(form.asked()[0], negative_prompt=negative, **form.settings()), form.models_asked()
        request, chosen = self.pending
        run = Run(len(chosen) * int(request.num_inference_steps or 0))
        return run, side_by_side, (request, chosen, run)

    def _show(self, made: Pictures) -> None:
        self.made, (self.request, self.chosen) = made, self.pending
        self.pictures.clear()
        with self.pictures:
            for name, picture in made.pictures.items():
                with ui.column().classes("gap-1 generated"):
                    shown = ui.image(as_source(picture)).classes("rounded")
                    shown.style(f"width: {_SHOWN}px; image-rendering: pixelated")
                    ui.label(name).classes("text-xs text-gray-600")
            if made.truncation:
                ui.label(f"The prompt has {made.truncation}.").classes("text-sm text-amber-800 w-full")

    def _files(self) -> tuple[bytes, bytes]:
        pictures = self._pictures()
        return sheet_png(pictures), tensor_bytes(pictures)

    def _command(self) -> str:
        self._pictures()
        return generate_command(self.request, self.chosen)

    def _pictures(self):
        if self.made is None:
            raise DifflabError("there are no pictures yet: make some first")
        return self.made.pictures
