"""How the page speaks: titles, durations, and the one line of an error where the visitor looks."""

from collections.abc import Generator
from contextlib import contextmanager

from nicegui import ui

from difflab.core.base.errors import one_line


def title(number: str, text: str) -> None:
    """The head of a card: a step in the order of work, and what it is for."""
    with ui.row().classes("items-center gap-2"):
        ui.badge(number).props("rounded color=secondary")
        ui.label(text).classes("text-base font-medium")


def duration(seconds: float) -> str:
    """ "40 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def refuse(line: str) -> None:
    """Show a line for ten seconds."""
    ui.notify(line, type="negative", position="top", timeout=10_000, close_button="Close")


@contextmanager
def guarded() -> Generator[None]:
    """Show an error of this block in one line; one that no person can act on goes to the terminal too, and on."""
    try:
        yield
    except Exception as error:
        if (line := one_line(error)) is None:
            refuse(f"something went wrong ({type(error).__name__}): the server's terminal says more")
            raise
        refuse(line)
