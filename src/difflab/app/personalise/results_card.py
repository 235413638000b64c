"""The cards below a finished training: pictures beside the base's, what was measured, the file."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nicegui import ui
from PIL import Image

from difflab.app.personalise.outcome import MEASURES, SHARES, Outcome, sample
from difflab.app.personalise.take_away import PROGRAMS, packed_for
from difflab.app.telling import guarded, title

if TYPE_CHECKING:
    import numpy as np

    from difflab.app.models import Models

_COUNT = 4  # pictures of a prompt
_NOTE = (
    "Measured on prompts that were not trained, by the study's own judge; one picture was left out of the training for "
    "it. docs/personal.md says what each number means."
)


class ResultsCard:
    """Built where it stands; the first pictures are made at once."""

    def __init__(self, models: "Models", outcome: Outcome) -> None:
        self.models, self.outcome = models, outcome
        prompts = [prompt.format(outcome.wish.words.instance) for prompt in models.params.personal.prompts]
        with ui.card().classes("w-full"):
            title("4", "Beside the base, from the same noise")
            with ui.row().classes("w-full no-wrap items-center gap-4"):
                self.prompt = ui.input("Prompt", value=prompts[0], autocomplete=prompts).classes("grow")
                self.seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0).classes("w-24")
                self.make = ui.button("Make pictures", icon="brush", on_click=self._sample).props("no-caps")
            self.pictures = ui.column().classes("w-full gap-1")
        with ui.card().classes("w-full"):
            title("5", "What it learnt, and the file")
            _measures(outcome)
            ui.label(_NOTE).classes("text-xs text-gray-600")
            with ui.row().classes("items-center gap-4"):
                programs = PROGRAMS if outcome.is_lora else {"diffusers": PROGRAMS["diffusers"]}
                self.program = ui.select(programs, label="For", value="diffusers").classes("w-48")
                ui.button("Download", icon="download", on_click=self._download).props("no-caps")
                ui.label(f"{outcome.file_name}, {outcome.file.stat().st_size / 1e6:.1f} MB").classes("text-sm")
        ui.timer(0.1, self._sample, once=True)

    async def _sample(self) -> None:
        self.make.props("loading")
        with guarded():
            self._show(await self.models.compute(self._made, self.prompt.value or "", int(self.seed.value or 0)))
        self.make.props(remove="loading")

    def _made(self, prompt: str, seed: int) -> "Mapping[str, Sequence[np.ndarray]]":
        return sample(*self.models.load_personal(), self.outcome, prompt, _COUNT, seed)

    def _show(self, made: "Mapping[str, Sequence[np.ndarray]]") -> None:
        self.pictures.clear()
        with self.pictures:
            for name, pictures in made.items():
                ui.label(name).classes("text-xs uppercase tracking-wide text-gray-500")
                with ui.grid(columns=_COUNT).classes(f"w-full gap-2 made-{name}"):
                    for picture in pictures:
                        ui.image(Image.fromarray(picture)).classes("w-full rounded").style("image-rendering: pixelated")

    async def _download(self) -> None:
        with guarded():
            content = await self.models.compute(self._packed, self.program.value)
            ui.download.content(content, self.outcome.file_name)

    def _packed(self, program: str) -> bytes:
        return packed_for(program, self.outcome, self.models.load_personal()[0], self.models.params)


def _measures(outcome: Outcome) -> None:
    named = (("measure", ""), ("base", "base"), ("own", "personalised"))
    columns = [
        {"name": name, "label": label, "field": name, "align": "left" if name == "measure" else "right"}
        for name, label in named
    ]
    rows = [
        {"measure": MEASURES[name], "own": _shown(name, own), "base": _shown(name, base)}
        for name, (own, base) in outcome.measures.items()
    ]
    ui.table(columns=columns, rows=rows, row_key="measure").props("flat dense hide-bottom").classes("w-full")


def _shown(name: str, value: float) -> str:
    return f"{value:.0%}" if name in SHARES else f"{value:.2f}"
