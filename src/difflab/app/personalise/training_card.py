"""The card of the training: started, watched, cancelled, gone on with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.personalise import job
from difflab.app.telling import duration, guarded, title
from difflab.core.params.loading import read_values

if TYPE_CHECKING:
    from difflab.app.personalise.subject_card import SubjectCard
    from difflab.app.personalise.visitor import Visitor

_POLL = 0.5  # seconds
_HELP = """
Drop pictures, say what they show, and train. That is a DVC experiment of its own, on the base and with the settings of
`params.yaml`; it shows how far it is, can be cancelled, and runs on when this page is closed. Afterwards the trained
model stands here beside the base: with pictures from the same noise, with what was measured, and as a file for other
programs.

No pictures at hand? *Example pictures* adds nine of a synthetic emblem.
"""
_STATES: dict[job.State, str] = {
    "waiting": "Another training runs: this one waits for its turn",
    "preparing": "Reading the pictures and the base",
    "measuring": "Trained; making pictures to measure it by",
    "done": "Done",
}


class TrainingCard:
    """Built where it stands; `changed` is called when a training begins, ends, or is gone."""

    def __init__(self, visitor: "Visitor", subject: "SubjectCard", changed: Callable[[job.State], None]) -> None:
        self.visitor, self.subject, self.changed = visitor, subject, changed
        self.state: job.State | None = None
        with ui.card().classes("w-full"):
            title("3", "Training")
            with ui.row().classes("items-center"):
                self.start = ui.button("Train", icon="play_arrow", on_click=self._start)
                self.resume = ui.button("Go on", icon="restart_alt", on_click=self._go_on)
                self.cancel = ui.button("Cancel", icon="stop", color="accent", on_click=self._cancel).props("outline")
                self.status = ui.label().classes("text-sm text-gray-600 status")
            self.bar = ui.linear_progress(0.0, show_value=False, size="10px").props("rounded")
            self.help = ui.markdown(_HELP).classes("text-sm text-gray-600")
        ui.timer(_POLL, self.look)

    def look(self) -> None:
        """Show how far the training is."""
        if not self.visitor.attached:
            return
        found = job.progress(self.visitor.session.job)
        for part, shown in (
            (self.start, not found.running), (self.cancel, found.running), (self.bar, found.running),
            (self.resume, found.state in job.STOPPED), (self.help, found.state == "none"),
        ):  # fmt: skip
            part.set_visibility(shown)
        self.bar.value = found.step / found.steps if found.steps else 0.0
        self.status.text = told(found)
        if found.state != self.state:
            self.state = found.state
            self.changed(found.state)

    def _start(self) -> None:
        with guarded():
            job.start(self.visitor.session, self.subject.wish(), read_values())
        self.look()

    def _go_on(self) -> None:
        with guarded():
            job.go_on(self.visitor.session)
        self.look()

    def _cancel(self) -> None:
        job.cancel(self.visitor.session)
        ui.notify("The training is cancelled; the pictures stay.")
        self.look()


def told(found: job.Progress) -> str:
    """One line for a progress."""
    if found.state == "training":
        left = f", about {duration(found.seconds_left)} left" if found.seconds_left is not None else ""
        return f"Step {found.step} of {found.steps}{left}"
    if found.state == "failed":
        return f"It failed: {found.reason}"
    if found.state == "interrupted":
        at = f" at step {found.step} of {found.steps}" if found.steps else ""
        return f"The training was ended from outside{at}; it can go on from its last saved state"
    return _STATES.get(found.state, "")
