"""The fields that say what is made, with the buttons that make and cancel it."""

import asyncio
import base64
import json
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

Work = tuple[Run, Callable[..., Any], tuple]
"""A run, what is called with the models in the queue, and its other arguments."""


class Form:
    """Prompts, models and how they are sampled. What was asked for last is kept in the browser's tab, over a restart too.

    Args:
        name: of the form in the browser's tab.
        prompts: how many fields for prompts there are; all but the first may stay empty.
        most: models at a time.
        make: called when the button is pressed.
        done: shows what was made.
        negative: whether there is a field for what to steer away from.
    """

    def __init__(
        self,
        models: "Models",
        name: str,
        prompts: int,
        most: int,
        make: "Callable[[Form], Work]",
        done: Callable[[Any], Awaitable[None] | None],
        negative: bool = False,
    ) -> None:
        self.models, self._key, self._make, self._done = models, f"difflab-{name}", make, done
        self.run: Run | None = None
        self.task: asyncio.Task | None = None
        self._fields(prompts, most, negative)
        self._buttons()
        ui.timer(_POLL, self._poll)
        ui.timer(0, self._attach, once=True)
        ui.context.client.on_delete(self.stop)  # who has left wants nothing any more

    def _fields(self, prompts: int, most: int, negative: bool) -> None:
        defaults, adapters = self.models.params.generate, trained_adapters()
        labels = ["Prompt", *(f"Prompt {n} (may be empty)" for n in range(2, prompts + 1))]
        self.prompts = [ui.input(label, value="" if n else EXAMPLE).classes("w-full") for n, label in enumerate(labels)]
        self.negative = ui.input("Negative prompt (may be empty)").classes("w-full") if negative else None
        self.named = {STUDY: "base", **{path: name_of(Path(path)) for path in adapters}}
        self.chosen = ui.select(self.named, label=f"Models, up to {most}", multiple=True, value=[STUDY, *adapters[:1]])
        self.chosen.props(f"use-chips max-values={most}").classes("w-full")
        with ui.row().classes("w-full no-wrap gap-3"):
            self.steps = ui.number("Steps", value=defaults.num_inference_steps, min=1, max=1000, precision=0)
            self.guidance = ui.number("Guidance", value=defaults.guidance_scale, min=1, max=100, step=0.5)
            self.seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0)
        length = self.models.params.cache.prompts.max_sequence_length
        ui.label(f"Prompts are read as long as in training: {length} tokens of T5.").classes("text-xs text-gray-600")

    def _buttons(self) -> None:
        with ui.row().classes("items-center"):
            self.start = ui.button("Make", icon="brush", on_click=self._start)
            self.cancel = ui.button("Cancel", icon="stop", on_click=self.stop).props("color=accent outline")
            self.status = ui.label().classes("text-sm text-gray-600 progress-line")
        self.bar = ui.linear_progress(0.0, show_value=False, size="8px").props("rounded")
        for element in (self.cancel, self.bar):
            element.set_visibility(False)

    # What is asked for

    def asked(self) -> tuple[str, ...]:
        """The prompts that are not empty; the first in any case."""
        return (self.prompts[0].value, *(field.value for field in self.prompts[1:] if field.value.strip()))

    def models_asked(self) -> tuple[str, ...]:
        """The chosen models, the base first."""
        if not self.chosen.value:
            raise DifflabError("no model is chosen: take the base, an adapter or both")
        return tuple(sorted(self.chosen.value, key=lambda name: (name != STUDY, name)))

    def settings(self) -> dict[str, Any]:
        """How pictures are sampled, by the names of the command line."""
        for name, field in (("Steps", self.steps), ("Guidance", self.guidance), ("Seed", self.seed)):
            if field.value is None:
                raise DifflabError(f"{name} is empty: give a number")
        return {
            "num_inference_steps": int(self.steps.value),
            "guidance_scale": float(self.guidance.value),
            "seed": int(self.seed.value),
        }

    # Over a restart

    def _kept(self) -> dict[str, Any]:
        fields = {f"prompt-{n}": field for n, field in enumerate(self.prompts)}
        fields |= {"negative": self.negative} if self.negative else {}
        return fields | {"chosen": self.chosen, "steps": self.steps, "guidance": self.guidance, "seed": self.seed}

    def _keep(self) -> None:
        values = json.dumps({name: field.value for name, field in self._kept().items()})
        ui.run_javascript(f"sessionStorage.setItem('{self._key}', {json.dumps(values)})")

    async def _attach(self) -> None:
        """Fill in what the browser's tab has kept, then load the models while the visitor reads."""
        with suppress(ValueError, TypeError, AttributeError, TimeoutError):  # nothing, or somebody's own text
            kept = json.loads(await ui.run_javascript(f"sessionStorage.getItem('{self._key}')", timeout=10) or "{}")
            kept["chosen"] = [name for name in kept.get("chosen", self.chosen.value) if name in self.named]
            for name, field in self._kept().items():
                field.value = kept.get(name, field.value)
        with suppress(DifflabError):  # what is missing is told when it is asked for
            await self.models.compute(self.models.load, "transformer")

    # Running

    async def _start(self) -> None:
        if self.run is not None:
            return
        self._keep()
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
            except DifflabError:
                self.status.text = ""
                raise
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
        run = self.run
        self.start.set_enabled(run is None)
        self.cancel.set_visibility(run is not None)
        self.bar.set_visibility(run is not None)
        if run is not None:
            self.bar.value = run.share
            before = self.models.waiting - 1
            waiting = f"Waiting for {before} before" if before > 0 else "Waiting"
            made = f"Step {run.done} of {run.steps}" if run.done else "Loading the models"
            self.status.text = made if run.begun else waiting


def as_source(picture: "np.ndarray") -> str:
    """A picture uint8 [H, W, 3] as the address of an image on a page."""
    return as_address(png_bytes(Image.fromarray(picture)))


def as_address(png: bytes) -> str:
    """A PNG file as the address of an image on a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
