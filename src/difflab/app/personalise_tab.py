"""Tab Personalise: drop a few pictures of a subject, teach it to the base, see and take what came of it."""

import json
from typing import TYPE_CHECKING

from nicegui import ui
from PIL import Image

from difflab.app.personalise import job
from difflab.app.personalise.example import add_example
from difflab.app.personalise.outcome import MEASURES, SHARES, Outcome, read_outcome, sample
from difflab.app.personalise.sessions import Session, find_session, new_session
from difflab.app.personalise.uploads import LEAST, MAX_BYTES, MOST
from difflab.app.personalise.wish import MAX_STEPS, Wish, methods_of
from difflab.app.telling import guarded
from difflab.core.base.store.decoder import decode_image
from difflab.core.base.store.tensors import resized_square
from difflab.personal.cells import PRIORS

if TYPE_CHECKING:
    from difflab.app.models import Models

_TOKEN = "difflab-session"  # in the browser's sessionStorage: a tab's own, kept when the page is loaded anew
_POLL = 0.5  # seconds
_THUMBNAIL, _SHOWN = 96, 144  # pixels of a side
_METHOD_HELP = {
    "lora": "A small file that changes the denoising network; what most programs load.",
    "lora_text": "The same on the text encoder too: the words learn as well.",
    "full": "All of the denoising network, as in DreamBooth: the largest file, and the most is forgotten.",
    "textual_inversion": "One new word; no weight changes, so nothing is forgotten and the least is learnt.",
}
_PRIOR_HELP = {
    "none": "The class word drifts towards the subject.",
    "images": "Trains on the base's own pictures of the class beside yours: the slowest.",
    "output": "Holds the prediction for the class word to the base's: needs no pictures.",
}
_HELP = """
Drop pictures, say what they show, and train: a DVC experiment of its own, on the base and with the settings of
`params.yaml`. It shows how far it is and can be cancelled; it goes on when this page is closed. Then the trained model
stands beside the base, with pictures from the same noise, with what was measured, and as a file for other programs.

No pictures at hand? *Example pictures* puts nine of a synthetic emblem here.
"""
_STATES = {
    "waiting": "Another training runs: this one waits for its turn",
    "preparing": "Reading the pictures and the base",
    "measuring": "Trained; making pictures to measure it by",
}


def personalise_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    _Tab(models)


class _Tab:
    """The components of one visitor's tab, and what they do."""

    def __init__(self, models: "Models") -> None:
        self.models, self.session = models, None
        self.state: job.State | None = None
        with ui.row().classes("w-full gap-6 items-start flex-nowrap max-md:flex-wrap"):
            with ui.column().classes("w-[26rem] max-w-full shrink-0 gap-4"):
                self._pictures_card()
                self._subject_card()
            with ui.column().classes("grow min-w-0 gap-4"):
                self._training_card()
                self.outcome = ui.column().classes("w-full gap-4")
        ui.timer(0, self._attach, once=True)
        ui.timer(_POLL, self._poll)

    # Pictures

    def _pictures_card(self) -> None:
        with ui.card().classes("w-full"):
            _title("1", "Pictures of the subject")
            ui.label(
                f"Five to ten pictures, from several sides and over several backgrounds ({LEAST} to {MOST} are taken, "
                f"of at most {MAX_BYTES // 1024**2} MB). The largest square in the middle counts. They stay on this "
                "machine, in a folder that only this page knows."
            ).classes("text-sm text-gray-600")
            self.upload = ui.upload(
                multiple=True, auto_upload=True, max_files=MOST, max_file_size=MAX_BYTES, label="Drop pictures here"
            ).classes("w-full")
            self.upload.props("flat bordered color=secondary")
            self.upload.on("added", lambda: self.refused.clear(), args=[])
            for event in ("uploaded", "failed"):
                self.upload.on(event, self._uploaded, js_handler="(e) => emit(e.xhr.responseText)")
            names = "(e) => emit(e.map(r => [r.failedPropValidation, r.file.name]))"
            self.upload.on("rejected", self._rejected, js_handler=names)
            self.refused = ui.column().classes("w-full gap-1 refused")
            self.shown = ui.row().classes("w-full gap-2 pictures")
            with ui.row().classes("w-full justify-between"):
                self.example = ui.button("Example pictures", icon="auto_awesome", on_click=self._add_example)
                self.delete = ui.button("Delete everything", icon="delete", on_click=self._delete).props("color=accent")
                for button in (self.example, self.delete):
                    button.props("flat dense no-caps")

    async def _attach(self) -> None:
        """Find the folder of this browser tab again, or make one."""
        known = await ui.run_javascript(f"sessionStorage.getItem('{_TOKEN}')", timeout=10)
        self._use(find_session(known) or new_session())

    def _use(self, session: Session) -> None:
        self.session = session
        ui.run_javascript(f"sessionStorage.setItem('{_TOKEN}', '{session.token}')")
        self.upload.props(f"url=/pictures/{session.token}")
        if (wish := job.asked(session.job)) is not None:
            self._fill_in(wish)
        self._show_pictures()

    def _uploaded(self, event) -> None:
        try:
            refused = json.loads(event.args)["refused"]
        except (TypeError, ValueError, KeyError):
            refused = ["the picture did not arrive: is the server running?"]
        self._refuse(refused)
        self._show_pictures()

    def _rejected(self, event) -> None:
        """Say what the browser did not even send; of many files with one line for those beyond `MOST`."""
        large = [name for why, name in event.args if why == "max-file-size"]
        lines = [f"'{name}' is larger than {MAX_BYTES // 1024**2} MB: save it smaller" for name in large]
        if more := len(event.args) - len(large):
            lines.append(f"{more} more picture{'s are' if more > 1 else ' is'} not taken: {MOST} are enough")
        self._refuse(lines)

    def _refuse(self, lines: list[str]) -> None:
        """Lines below the place to drop pictures, until others are dropped."""
        with self.refused:
            for line in lines:
                ui.label(line).classes("text-sm text-negative")

    def _show_pictures(self) -> None:
        session, pictures = self._session(), self._session().pictures()
        self.shown.clear()
        with self.shown:
            for picture in pictures:
                image = resized_square(decode_image(picture.read_bytes(), picture.name), _THUMBNAIL)
                with ui.column().classes("gap-0 items-center w-24"):
                    with ui.image(image).classes("w-24 h-24 rounded"):
                        button = ui.button(icon="close", on_click=lambda _, p=picture: self._remove(p))
                        button.props("round dense size=xs color=grey-8").classes("absolute top-1 right-1 m-0")
                        button.tooltip("Leave this picture out")
                    caption = ui.input(value=session.caption(picture), placeholder="caption")
                    caption.props("dense borderless input-class=text-xs").classes("w-24")
                    caption.on("blur", lambda _, p=picture, c=caption: session.set_caption(p, c.value))
        self.upload.run_method("reset")
        self.count = len(pictures)

    def _remove(self, picture) -> None:
        self._session().remove(picture)
        self._show_pictures()

    def _add_example(self) -> None:
        with guarded():
            add_example(self._session())
        self._show_pictures()

    async def _delete(self) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label("Delete the pictures, the training and what it made?")
            with ui.row():
                ui.button("Delete", on_click=lambda: dialog.submit(True)).props("color=accent")
                ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat")
        if await dialog:
            session = self._session()
            job.cancel(session)
            session.delete()
            self._use(new_session())
            ui.notify("Everything of this page is deleted.")

    def _session(self) -> Session:
        """The visitor's folder, made anew where somebody has removed it."""
        if self.session is None or find_session(self.session.token) is None:
            self._use(new_session())
        assert self.session is not None
        return self.session

    # Subject and method

    def _subject_card(self) -> None:
        personal = self.models.params.personal
        methods = methods_of(personal)
        with ui.card().classes("w-full gap-2"):
            _title("2", "What it is, and how it is taught")
            with ui.row().classes("w-full no-wrap gap-4"):
                self.token = ui.input("Its name in prompts", value=personal.token).classes("w-1/2")
                self.token.tooltip("A rare word, which stands before the class word")
                self.class_word = ui.input("Class word", value=personal.subjects[0].class_word or "").classes("w-1/2")
                self.class_word.tooltip("What the subject is, as dog or backpack: the word that a prior keeps")
            self.method = ui.select(methods, label="Method", value=next(iter(methods))).classes("w-full")
            _explained(self.method, _METHOD_HELP)
            self.prior = ui.select(
                {name: text.capitalize() for name, text in PRIORS.items()}, label="Prior preservation", value="none"
            ).classes("w-full")
            _explained(self.prior, _PRIOR_HELP)
            with ui.row().classes("w-full no-wrap gap-4"):
                self.steps = ui.number("Steps", value=personal.training.steps, min=1, max=MAX_STEPS, precision=0)
                self.seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0)
            with ui.expansion("Instance prompt", icon="edit_note").classes("w-full").props("dense"):
                self.prompt = ui.input("Of pictures without a caption", value=personal.instance_prompt)
                self.prompt.classes("w-full").tooltip("{token} and {class} stand for the two words above")

    def _fill_in(self, wish: Wish) -> None:
        fields = {"token": wish.token, "class_word": wish.class_word, "prompt": wish.instance_prompt}
        for name, value in (fields | {"method": wish.method, "prior": wish.prior}).items():
            getattr(self, name).value = value
        self.steps.value, self.seed.value = wish.steps, wish.seed

    def _wish(self) -> Wish:
        return Wish(
            token=self.token.value.strip(), class_word=self.class_word.value.strip(), instance_prompt=self.prompt.value,
            method=self.method.value, prior=self.prior.value, steps=int(self.steps.value or 0),
            seed=int(self.seed.value or 0),
        )  # fmt: skip

    # Training

    def _training_card(self) -> None:
        with ui.card().classes("w-full"):
            _title("3", "Training")
            with ui.row().classes("items-center"):
                self.start = ui.button("Train", icon="play_arrow", on_click=self._start)
                self.resume = ui.button("Go on", icon="restart_alt", on_click=self._go_on)
                self.cancel = ui.button("Cancel", icon="stop", on_click=self._cancel).props("color=accent outline")
                self.status = ui.label().classes("text-sm text-gray-600 status")
            self.bar = ui.linear_progress(0.0, show_value=False, size="10px").props("rounded")
            self.help = ui.markdown(_HELP).classes("text-sm text-gray-600")

    def _start(self) -> None:
        with guarded():
            job.start(self._session(), self._wish())
        self._poll()

    def _go_on(self) -> None:
        with guarded():
            job.go_on(self._session())
        self._poll()

    def _cancel(self) -> None:
        job.cancel(self._session())
        ui.notify("The training is cancelled; the pictures stay.")
        self._poll()

    def _poll(self) -> None:
        if self.session is None:
            return
        found = job.progress(self.session.job)
        self.start.set_visibility(not found.running)
        self.cancel.set_visibility(found.running)
        self.resume.set_visibility(found.state == "interrupted")
        self.bar.set_visibility(found.running)
        self.help.set_visibility(found.state == "none")
        self.bar.value = found.step / found.steps if found.steps else 0.0
        self.status.text = told(found)
        if found.state != self.state:
            self.state = found.state
            self.outcome.clear()
            if found.state == "done":
                self._show_outcome()

    # What came of it

    def _show_outcome(self) -> None:
        session, wish = self._session(), job.asked(self._session().job)
        assert wish is not None
        with guarded():
            outcome = read_outcome(session.job, wish)
            with self.outcome:
                _Results(self.models, outcome)


class _Results:
    """The cards below a finished training."""

    def __init__(self, models: "Models", outcome: Outcome) -> None:
        self.models, self.outcome = models, outcome
        prompts = [prompt.format(outcome.wish.words.instance) for prompt in models.params.personal.prompts]
        with ui.card().classes("w-full"):
            _title("4", "Beside the base, from the same noise")
            with ui.row().classes("w-full no-wrap items-center gap-4"):
                self.prompt = ui.input("Prompt", value=prompts[0], autocomplete=prompts).classes("grow")
                self.seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0).classes("w-24")
                self.make = ui.button("Make pictures", icon="brush", on_click=self._sample).props("no-caps")
            self.pictures = ui.column().classes("w-full gap-1")
        with ui.card().classes("w-full"):
            _title("5", "What it learnt")
            _measures(outcome)
            with ui.row().classes("items-center"):
                ui.button("Download", icon="download", on_click=self._download).props("no-caps")
                ui.label(f"{outcome.file_name}, {outcome.file.stat().st_size / 1e6:.1f} MB").classes("text-sm")
        ui.timer(0.1, self._sample, once=True)

    async def _sample(self) -> None:
        self.make.props("loading")
        try:
            with guarded():
                seed = int(self.seed.value or 0)
                made = await self.models.compute(self._work, self.prompt.value, seed)
                self._show(made)
        finally:
            self.make.props(remove="loading")

    def _work(self, prompt: str, seed: int):
        pipeline, options = self.models.load_personal()
        return sample(pipeline, options, self.outcome, prompt, 4, seed)

    def _show(self, made) -> None:
        self.pictures.clear()
        with self.pictures:
            for name, pictures in made.items():
                ui.label(name).classes("text-xs uppercase tracking-wide text-gray-500")
                with ui.row().classes(f"gap-2 no-wrap made-{name}"):
                    for picture in pictures:
                        shown = Image.fromarray(picture)
                        ui.image(shown).classes("rounded").style(f"width: {_SHOWN}px; image-rendering: pixelated")

    def _download(self) -> None:
        ui.download.file(self.outcome.file, self.outcome.file_name)


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
    return _STATES.get(found.state, "Done" if found.state == "done" else "")


def duration(seconds: float) -> str:
    """ "40 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _title(number: str, text: str) -> None:
    with ui.row().classes("items-center gap-2"):
        ui.badge(number).props("rounded color=secondary")
        ui.label(text).classes("text-base font-medium")


def _explained(select: ui.select, texts: dict[str, str]) -> None:
    """A line under a choice that says what is chosen."""
    line = ui.label().classes("text-xs text-gray-600 -mt-2")
    line.bind_text_from(select, "value", lambda value: texts.get(value, ""))


def _measures(outcome: Outcome) -> None:
    columns = [{"name": n, "label": label, "field": n, "align": "left" if n == "measure" else "right"}
               for n, label in (("measure", ""), ("base", "base"), ("own", "personalised"))]  # fmt: skip

    def shown(name: str, value: float) -> str:
        return f"{value:.0%}" if name in SHARES else f"{value:.2f}"

    rows = [{"measure": MEASURES[name], "own": shown(name, own), "base": shown(name, base)}
            for name, (own, base) in outcome.measures.items()]  # fmt: skip
    ui.table(columns=columns, rows=rows, row_key="measure").props("flat dense hide-bottom").classes("w-full")
    ui.label(
        "Measured on prompts that were not trained, by the study's own judge; one picture was left out of the training "
        "for it. docs/personal.md says what each number means."
    ).classes("text-xs text-gray-600")
