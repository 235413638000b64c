"""How the page says that something cannot be: the one line of an error, where the visitor looks."""

from collections.abc import Generator
from contextlib import contextmanager

from nicegui import ui

from difflab.core.base.errors import one_line


def refuse(line: str) -> None:
    """Show a line for ten seconds."""
    ui.notify(line, type="negative", position="top", timeout=10_000, close_button="Close")


@contextmanager
def guarded() -> Generator[None]:
    """Show the errors of this block that a person can act on as `refuse` does; others go to the log, too."""
    try:
        yield
    except Exception as error:
        if (line := one_line(error)) is None:
            refuse(f"something went wrong ({type(error).__name__}): the server's terminal says more")
            raise
        refuse(line)
