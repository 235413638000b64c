"""The card of what the pictures show, and of how it is taught."""

from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.personalise.wish import MAX_STEPS, Wish, methods_of
from difflab.app.telling import title
from difflab.personal.cells import PRIORS

if TYPE_CHECKING:
    from difflab.personal.params import PersonalParams

_METHODS = {
    "lora": "A small file that changes the denoising network; what most programs load.",
    "lora_text": "The same on the text encoder too, so that the words change as well.",
    "full": "All of the denoising network, as in DreamBooth: the largest file, and the most is forgotten.",
    "textual_inversion": "One new word; no weight changes, so nothing is forgotten and the least is learnt.",
}
_PRIORS = {
    "none": "Nothing keeps the class word from drifting towards the subject.",
    "images": "Trains on the base's own pictures of the class beside yours: the slowest.",
    "output": "Holds the prediction for the class word to the base's: needs no pictures.",
}


class SubjectCard:
    """Built where it stands, with the values of `params.yaml`."""

    def __init__(self, personal: "PersonalParams") -> None:
        methods, priors = methods_of(personal), {name: text.capitalize() for name, text in PRIORS.items()}
        with ui.card().classes("w-full gap-2"):
            title("2", "What it is, and how it is taught")
            with ui.row().classes("w-full no-wrap gap-4"):
                self.token = ui.input("Its name in prompts", value=personal.token).classes("w-1/2")
                self.token.tooltip("A rare word, which stands before the class word")
                self.class_word = ui.input("Class word", value=personal.subjects[0].class_word or "").classes("w-1/2")
                self.class_word.tooltip("What the subject is, as dog or backpack: the word that a prior keeps")
            self.method = ui.select(methods, label="Method", value=next(iter(methods))).classes("w-full")
            _explain(self.method, _METHODS)
            self.prior = ui.select(priors, label="Prior preservation", value="none").classes("w-full")
            _explain(self.prior, _PRIORS)
            with ui.row().classes("w-full no-wrap gap-4"):
                self.steps = ui.number("Steps", value=personal.training.steps, min=1, max=MAX_STEPS, precision=0)
                self.seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0)
            with ui.expansion("Instance prompt", icon="edit_note").classes("w-full").props("dense"):
                self.prompt = ui.input("Of pictures without a caption", value=personal.instance_prompt)
                self.prompt.classes("w-full").tooltip("{token} and {class} stand for the two words above")

    def wish(self) -> Wish:
        """What stands in the fields, unchecked."""
        return Wish(
            token=(self.token.value or "").strip(), class_word=(self.class_word.value or "").strip(),
            instance_prompt=self.prompt.value or "", method=self.method.value, prior=self.prior.value,
            steps=int(self.steps.value or 0), seed=int(self.seed.value or 0),
        )  # fmt: skip

    def fill_in(self, wish: Wish) -> None:
        """Show what was asked for when the page was last open."""
        self.token.value, self.class_word.value, self.prompt.value = wish.token, wish.class_word, wish.instance_prompt
        self.steps.value, self.seed.value = wish.steps, wish.seed
        if wish.method in self.method.options:
            self.method.value, self.prior.value = wish.method, wish.prior


def _explain(select: ui.select, texts: dict[str, str]) -> None:
    """A line under a choice that says what is chosen."""
    line = ui.label().classes("text-xs text-gray-600 -mt-2")
    line.bind_text_from(select, "value", lambda value: texts.get(value, ""))
