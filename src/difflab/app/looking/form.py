"""The fields that say what is made, with the buttons that make and cancel it."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui
from PIL import Image

from difflab.app.looking.work import Cancelled, Run, trained_adapters
from difflab.app.telling import guarded
from difflab.cli.adapters import name_of
from difflab.cli.bases import STUDY
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes

if TYPE_CHECKING:
    import numpy as np

    from difflab.app.models import Models

_POLL = 0.2  # seconds
EXAMPLE = "a handwritten four over a photo of a cat"


class Form:
    """Prompts, models and how they are sampled.

    Args:
        prompts: how many fields for prompts there are; all but the first may stay empty.
        most: models at a time.
        make: what is done when the button is pressed: it is given the run and gives back what `done` takes.
        done: shows what was made.
        negative: whether there is a field for what to steer away from.
    """

    def __init__(
        self,
        models: "Models",
        prompts: int,
        most: int,
        make: "Callable[[Form], tuple[Run, Callable[..., Any], tuple]]",
        done: Callable[[Any], Awaitable[None] | None],
        negative: bool = False,
    ) -> None:
        self.models, self._make, self._done = models, make, done
        self.run: Run | None = None
        self.task: asyncio.Task | None = None
        defaults = models.params.generate
        self.prompts = [
            ui.input("Prompt" if not n else f"Prompt {n + 1} (may be empty)", value="" if n else EXAMPLE)
            .classes("w-full")
            .mark(f"prompt-{n}")
            for n in range(prompts)
        ]
        self.negative = ui.input("Negative prompt (may be empty)").classes("w-full") if negative else None
        adapters = trained_adapters()
        named = {STUDY: "base", **{path: name_of(Path(path)) for path in adapters}}
        self.chosen = ui.select(named, label=f"Models, up to {most}", multiple=True, value=[STUDY, *adapters[:1]])
        self.chosen.props(f"use-chips max-values={most}").classes("w-full").mark("models")
        with ui.row().classes("w-full no-wrap gap-3"):
            self.steps = ui.number("Steps", value=defaults.num_inference_steps, min=1, max=1000, precision=0).mark(
                "steps"
            )
            self.guidance = ui.number("Guidance", value=defaults.guidance_scale, min=1, max=100, step=0.5)
            self.seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0).mark("seed")
        length = models.params.cache.prompts.max_sequence_length
        ui.label(f"Prompts are read as long as in training: {length} tokens of T5.").classes("text-xs text-gray-600")
        with ui.row().classes("items-center"):
            self.start = ui.button("Make", icon="brush", on_click=self._start).mark("make")
            self.cancel = (
                ui.button("Cancel", icon="stop", on_click=self.stop).props("color=accent outline").mark("cancel")
            )
            self.status = ui.label().classes("text-sm text-gray-600").mark("made")
        self.bar = ui.linear_progress(0.0, show_value=False, size="8px").props("rounded")
        for element in (self.cancel, self.bar):
            element.set_visibility(False)
        ui.timer(_POLL, self._poll)
        ui.timer(0, self._warm, once=True)
        ui.context.client.on_delete(self.stop)  # who has left wants nothing any more

    def asked(self) -> tuple[str, ...]:
        """The prompts that are not empty; the first in any case."""
        return (self.prompts[0].value, *(field.value for field in self.prompts[1:] if field.value.strip()))

    def models_asked(self) -> tuple[str, ...]:
        """The chosen models, the base first."""
        found = list(self.chosen.value or [])
        if not found:
            raise DifflabError("no model is chosen: take the base, an adapter or both")
        return tuple(sorted(found, key=lambda name: (name != STUDY, name)))

    def number(self, field: ui.number, name: str) -> float:
        """The value of a number's field."""
        if field.value is None:
            raise DifflabError(f"{name} is empty: give a number")
        return field.value

    def settings(self) -> dict[str, Any]:
        """How pictures are sampled, by the names of the command line."""
        return {
            "num_inference_steps": int(self.number(self.steps, "Steps")),
            "guidance_scale": float(self.number(self.guidance, "Guidance")),
            "seed": int(self.number(self.seed, "Seed")),
        }

    async def _warm(self) -> None:
        """Load the models while the visitor reads; what is missing is told when it is asked for."""
        with suppress(DifflabError):
            await self.models.compute(self.models.load, "transformer")

    async def _start(self) -> None:
        if self.run is not None:
            return
        with guarded():
            self.run, work, given = self._make(self)
            self._poll()
            try:
                self.task = asyncio.ensure_future(self.models.compute(work, self.models, *given))
                made = await self.task
                self.status.text = ""
                if (shown := self._done(made)) is not None:
                    await shown
            except (Cancelled, asyncio.CancelledError):
                self.status.text = "Cancelled"
            finally:
                self.run = self.task = None
                self._poll()

    def stop(self) -> None:
        """Cancel: at once where its turn has not come, else at the next step of sampling."""
        if self.run is not None:
            self.run.stop.set()
            if not self.run.begun and self.task is not None:
                self.task.cancel()

    def _poll(self) -> None:
        running = self.run is not None
        self.start.set_enabled(not running)
        self.cancel.set_visibility(running)
        self.bar.set_visibility(running)
        if self.run is not None:
            self.bar.value = self.run.share
            waiting = f"Waiting for {self.models.waiting - 1} before" if self.models.waiting > 1 else "Waiting"
            made = f"Step {self.run.done} of {self.run.steps}" if self.run.done else "Loading the models"
            self.status.text = made if self.run.begun else waiting


def as_source(picture: "np.ndarray") -> str:
    """A picture uint8 [H, W, 3] as the address of an image on a page."""
    return as_address(png_bytes(Image.fromarray(picture)))


def as_address(png: bytes) -> str:
    """A PNG file as the address of an image on a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
