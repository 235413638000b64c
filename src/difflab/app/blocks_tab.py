"""Tab Blocks: which blocks of the base matter, as the study found it, and where adapters move them."""

from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.looking.commands import drift_command, ranking_command
from difflab.app.looking.exports import exports
from difflab.app.looking.form import as_address
from difflab.app.looking.work import MOST_ADAPTERS, Run, drift_of, trained_adapters
from difflab.app.telling import guarded
from difflab.cli.adapter_report import chart_png, drift_table, drift_tensors
from difflab.cli.adapters import name_of
from difflab.cli.blocks import Ranking, read_ranking
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    import pandas as pd

    from difflab.app.models import Models

_FIGURES = {
    "block_effects": "What changes without each block, in four ways to take it away; above the bars the ranks.",
    "block_effects_by_sigma": "The same by the share of noise.",
    "block_agreement": "How far the four rankings agree.",
    "block_tuning": "What tuning the best, random and worst blocks brings: does the ranking predict it?",
}
_FIRST, _SQUARE = "block_effects", "block_agreement"


def blocks_tab(models: "Models") -> None:
    """Build the tab's components where they stand."""
    _Tab(models)


class _Tab:
    """The components of one visitor's tab, and what they do."""

    def __init__(self, models: "Models") -> None:
        self.models = models
        self.ranking: Ranking | None = None
        self.drift: pd.DataFrame | None = None
        self.folders: list[Path] = []
        with ui.column().classes("w-full gap-4"):
            with ui.card().classes("w-full"):
                ui.label("Which blocks of the base matter").classes("text-base font-medium")
                self.shown = ui.column().classes("w-full gap-2 ranking")
                with self.shown:
                    ui.spinner()
                exports("blocks", self._ranking_files, ranking_command)
            with ui.card().classes("w-full"):
                ui.label("Where adapters move it").classes("text-base font-medium")
                known = {path: name_of(Path(path)) for path in trained_adapters()}
                with ui.row().classes("w-full items-center no-wrap gap-4"):
                    self.chosen = ui.select(
                        known, label=f"Adapters, up to {MOST_ADAPTERS}", multiple=True, value=list(known)[:1]
                    )
                    self.chosen.props(f"use-chips max-values={MOST_ADAPTERS}").classes("grow adapters")
                    ui.button("Show", icon="insights", on_click=self._measure).classes("drift")
                self.moved = ui.column().classes("w-full gap-2 moved")
                exports("drift", self._drift_files, lambda: drift_command(self._measured()))
        ui.timer(0.1, self._show_ranking, once=True)

    async def _show_ranking(self) -> None:
        self.shown.clear()
        with self.shown, guarded():
            try:
                self.ranking = await self.models.compute(read_ranking)  # figures are drawn by one thread at a time
            except DifflabError as error:
                ui.label(str(error)).classes("text-gray-600")
                return
            figures = {name: text for name, text in _FIGURES.items() if name in self.ranking.figures}
            for name, text in figures.items():
                ui.label(text).classes("text-sm text-gray-600")
                narrow = "max-w-md" if name == _SQUARE else "max-w-3xl"
                ui.image(as_address(self.ranking.figures[name])).classes(f"w-full {narrow} {name}")
            for title, table in (("Rise of held-out loss, and the rank", self.ranking.table), ("", self.ranking.tuned)):
                if table:
                    ui.label(title).classes("text-sm font-medium")
                    ui.markdown(table).classes("w-full overflow-x-auto")

    def _ranking_files(self) -> tuple[bytes, bytes]:
        if self.ranking is None:
            raise DifflabError("there is no ranking of blocks here: run `dvc repro rank_blocks`")
        return self.ranking.figures[_FIRST], self.ranking.tensors

    async def _measure(self) -> None:
        with guarded():
            folders = [Path(path) for path in self.chosen.value or []]
            if not folders:
                raise DifflabError("no adapter is chosen: take one to three")
            found = await self.models.compute(drift_of, self.models, folders, Run(0))
            chart = await self.models.compute(chart_png, found)
            self.drift, self.folders = found, folders
            self.moved.clear()
            with self.moved:
                ui.image(as_address(chart)).classes("w-full max-w-3xl drift-chart")
                ui.markdown(drift_table(found).replace("_", r"\_")).classes("w-full overflow-x-auto")

    def _measured(self) -> list[Path]:
        if self.drift is None:
            raise DifflabError("nothing is measured yet: choose adapters and press Show")
        return self.folders

    def _drift_files(self) -> tuple[bytes, bytes]:
        self._measured()
        assert self.drift is not None
        return chart_png(self.drift), drift_tensors(self.drift)
