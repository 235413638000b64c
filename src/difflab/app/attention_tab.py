"""Tab Attention: click a word or a patch, and see where it looks, under one model or two."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from matplotlib import colormaps
from nicegui import app, ui

from difflab.app.looking.commands import attention_command
from difflab.app.looking.exports import exports
from difflab.app.looking.form import Form, Work, as_source
from difflab.app.looking.visit import DIFFERENCE, SIDE, HeatView, Visit, exported, heat_view, patch_at
from difflab.app.looking.work import Run, captured
from difflab.app.telling import guarded
from difflab.attention.affinity import AFFINITIES
from difflab.attention.views import by_model
from difflab.cli.attention_capture import MOST_PROMPTS, Sampling

if TYPE_CHECKING:
    from nicegui.events import MouseEventArguments

    from difflab.app.models import Models
    from difflab.attention.views import Made
    from difflab.cli.attention import Request

MOST_MODELS = 2
_HELP = {
    "attention": "How much of what it reads comes from each place; each row sums to 1.",
    "output": "Places whose outputs of attention point the same way.",
    "query": "Places that ask for the same.",
    "key": "Places that are found by the same questions.",
    "value": "Places that hand on the same.",
}
_COUNTED = "Block, step and head count from 0, step 0 is the noisiest; empty is the mean of all."


def visit_of_page() -> Visit:
    """What this visitor's tabs share; it goes when the page is closed or loaded anew."""
    return app.storage.client.setdefault("visit", Visit())


def attention_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    _Tab(models)


class _Tab:
    """The components of one visitor's tab, and what they do."""

    def __init__(self, models: "Models") -> None:
        self.models, self.visit = models, visit_of_page()
        self.words, self.patches, self.prompt = (), (), None
        self.clicks = 0
        self.images: dict[tuple[str, int], ui.interactive_image] = {}
        self.chips: dict[tuple[str, int], dict[str, ui.badge]] = {}
        self.notes: dict[int, ui.label] = {}
        with ui.row().classes("w-full gap-6 items-start flex-nowrap max-md:flex-wrap"):
            with ui.card().classes("w-[24rem] max-w-full shrink-0"):
                note = "Pictures of one to three prompts by one model or two, from the same noise. Then click."
                ui.label(note).classes("text-sm text-gray-600")
                self.form = Form(models, "attention", MOST_PROMPTS, MOST_MODELS, self._make, self._made)
                self.lean = ui.switch("Keep only the block and the step that are shown")
                self.lean.tooltip("For large models: all blocks at all steps need much memory")
            with ui.card().classes("grow min-w-0"):
                self._choice()
                self.area = ui.column().classes("w-full gap-4")
                with self.area:
                    ui.label("What is made is shown here.").classes("text-gray-500")
                exports("attention", lambda: exported(self.visit, self._request(), models.params), self._command)
        self.visit.listeners.append(self._rebuild)

    def _choice(self) -> None:
        """What is shown of the pictures."""
        with ui.row().classes("w-full items-center gap-x-4 gap-y-0"):
            self.affinity = ui.select(list(AFFINITIES), label="Affinity", value="attention").classes("w-28")
            self.block, self.step, self.head = (
                ui.number(name, placeholder="all", min=0, precision=0).props("clearable stack-label").classes("w-20")
                for name in ("Block", "Step", "Head")
            )
            self.across = ui.switch("across pictures")
            ui.button("Clear", icon="layers_clear", on_click=self._clear).props("outline dense no-caps padding=xs_md")
        line = ui.label().classes("text-xs text-gray-600 -mt-3")
        line.bind_text_from(self.affinity, "value", lambda value: f"{_HELP[value]} {_COUNTED}")
        self.said = ui.label("Click a word or a patch").classes("text-sm shown")
        for field in (self.affinity, self.block, self.step, self.head, self.across):
            field.on_value_change(self._refresh)

    # Making

    def _make(self, form: Form) -> Work:
        self.pending = Sampling(form.asked(), form.models_asked(), **form.settings())
        run = Run(len(self.pending.prompts) * len(self.pending.models) * self.pending.num_inference_steps)
        kept = (_one(self.block), _one(self.step)) if self.lean.value else (None, None)
        return run, captured, (self.pending, run, *kept)

    def _made(self, made: "list[Made]") -> None:
        self.visit.show(self.pending, made)

    # Showing

    def _rebuild(self) -> None:
        """Components for other pictures, with nothing clicked."""
        self.words, self.patches, self.prompt = (), (), None
        self.images, self.chips, self.notes = {}, {}, {}
        self.area.clear()
        models = by_model(self.visit.made)
        with self.area:
            for number, first in enumerate(next(iter(models.values()))):
                with ui.column().classes("w-full gap-1"):
                    ui.label(first.layout.prompt).classes("text-sm font-medium")
                    with ui.row().classes("gap-4 items-start"):
                        for model, own in models.items():
                            self._picture(model, own[number])
                        if len(models) == MOST_MODELS:
                            self._difference(number, list(models))
        view = heat_view(self.visit, self._request())
        self._draw(view)

    def _picture(self, model: str, one: "Made") -> None:
        key = model, one.prompt
        with ui.column().classes("gap-1").style(f"width: {SIDE}px"):
            clicked = partial(self._click_patch, one.prompt)
            image = ui.interactive_image(on_mouse=clicked, events=["click"], cross="#ffffff88")
            self.images[key] = image.classes("rounded looked-at").style(f"width: {SIDE}px")
            ui.label(model).classes("text-xs text-gray-600")
            with ui.row().classes("gap-1"):
                self.chips[key] = {}
                for word in one.layout.words():
                    chip = ui.badge(word).classes("cursor-pointer text-sm px-2 py-1 word")
                    chip.on("click", partial(self._click_word, one.prompt, word))
                    self.chips[key][word] = chip

    def _difference(self, number: int, models: list[str]) -> None:
        with ui.column().classes("gap-1").style(f"width: {SIDE}px"):
            image = ui.interactive_image().classes("rounded difference")
            self.images[DIFFERENCE, number] = image.style(f"width: {SIDE}px")
            self.notes[number] = ui.label(f"{models[1]} minus {models[0]}").classes("text-xs text-gray-600")

    async def _click_word(self, prompt: int, word: str) -> None:
        self.words, self.patches, self.prompt = (word,), (), prompt
        await self._refresh()

    async def _click_patch(self, prompt: int, event: "MouseEventArguments") -> None:
        patch = patch_at(self.visit, prompt, event.image_x / SIDE, event.image_y / SIDE)
        self.words, self.patches, self.prompt = (), (patch,), prompt
        await self._refresh()

    async def _clear(self) -> None:
        self.words, self.patches, self.prompt = (), (), None
        await self._refresh()

    async def _refresh(self) -> None:
        """Draw what is asked about, from memory and beside the queue; only the last of quick clicks is shown."""
        if not self.visit.made:
            return
        self.clicks += 1
        click = self.clicks
        with guarded():
            view = await asyncio.to_thread(heat_view, self.visit, self._request())
            if click == self.clicks:
                self._draw(view)

    def _draw(self, view: HeatView) -> None:
        for key, image in self.images.items():
            shown = key in view.pictures
            image.set_visibility(shown)
            if shown:
                image.set_source(as_source(view.pictures[key]))
        for key, chips in self.chips.items():
            _colour(chips, view.words.get(key, []))
        models = list(by_model(self.visit.made))
        for number, note in self.notes.items():
            full = f": red more, blue less, full colour at {view.most[number]:.2g}" if number in view.most else ""
            note.text = f"{models[1]} minus {models[0]}{full}"
        asked = [*(f"'{word}'" for word in self.words), *(f"patch {row},{column}" for row, column in self.patches)]
        self.said.text = f"{self.affinity.value} of {asked[0]}" if asked else "Click a word or a patch"

    def _request(self) -> "Request":
        return self.visit.request(
            words=self.words, patches=self.patches, prompt=self.prompt, affinity=self.affinity.value,
            across=self.across.value, blocks=_one(self.block), steps=_one(self.step), heads=_one(self.head),
        )  # fmt: skip

    def _command(self) -> str:
        return attention_command(self._request())


def _one(field: ui.number) -> tuple[int, ...] | None:
    return None if field.value is None else (int(field.value),)


def _colour(chips: dict[str, ui.badge], values: list[tuple[str, float]]) -> None:
    """Words in the colours of the map: the least dark, the greatest yellow; grey without any."""
    found = dict(values)
    low, high = (min(found.values()), max(found.values())) if found else (0.0, 0.0)
    for word, chip in chips.items():
        if word not in found:
            chip.style(replace="background-color: #e5e7eb !important; color: #1c2230 !important")
            continue
        level = (found[word] - low) / (high - low) if high > low else 0.0
        red, green, blue = (round(255 * part) for part in colormaps["plasma"](level)[:3])
        ink = "#1c2230" if level > 0.6 else "white"
        chip.style(replace=f"background-color: rgb({red},{green},{blue}) !important; color: {ink} !important")
        chip.props(f'title="{found[word]:.3g}"')
