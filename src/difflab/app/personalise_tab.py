"""Tab Personalise: drop a few pictures of a subject, teach it to the base, see and take what came of it."""

from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.personalise import job
from difflab.app.personalise.outcome import read_outcome
from difflab.app.personalise.pictures_card import PicturesCard
from difflab.app.personalise.results_card import ResultsCard
from difflab.app.personalise.subject_card import SubjectCard
from difflab.app.personalise.training_card import TrainingCard
from difflab.app.personalise.visitor import Visitor
from difflab.app.telling import guarded

if TYPE_CHECKING:
    from difflab.app.models import Models


def personalise_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    visitor = Visitor()

    def delete() -> None:
        job.cancel(visitor.session)
        visitor.session.delete()
        visitor.renew()

    def changed(state: job.State) -> None:
        results.clear()
        wish = job.asked(visitor.session.job)
        if state == "done" and wish is not None:
            with guarded(), results:
                ResultsCard(models, read_outcome(visitor.session.job, wish))

    async def attach() -> None:
        await visitor.attach()
        if (wish := job.asked(visitor.session.job)) is not None:
            subject.fill_in(wish)
        await pictures.show()

    with ui.row().classes("w-full gap-6 items-start flex-nowrap max-md:flex-wrap"):
        with ui.column().classes("w-[26rem] max-w-full shrink-0 gap-4"):
            pictures = PicturesCard(visitor, delete)
            subject = SubjectCard(models.params.personal)
        with ui.column().classes("grow min-w-0 gap-4"):
            TrainingCard(visitor, subject, changed)
            results = ui.column().classes("w-full gap-4")
    ui.timer(0, attach, once=True)
