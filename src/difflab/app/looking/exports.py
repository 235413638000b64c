"""The buttons below a view: its picture, its numbers, and the command line that repeats it."""

import asyncio
from collections.abc import Callable

from nicegui import ui

from difflab.app.telling import guarded

Files = Callable[[], tuple[bytes, bytes]]


def exports(name: str, files: Files, command: Callable[[], str]) -> None:
    """Build the buttons.

    Args:
        name: of the files, without an ending.
        files: the PNG and the safetensors file; called in a thread when a button is pressed.
        command: that writes the same.
    """

    async def save(number: int, ending: str) -> None:
        with guarded():
            ui.download.content((await asyncio.to_thread(files))[number], f"{name}.{ending}")

    def show() -> None:
        with guarded():
            line.content = command()
            line.set_visibility(True)

    with ui.column().classes("w-full gap-1"):
        with ui.row().classes("items-center gap-2"):
            for number, (ending, label) in enumerate((("png", "PNG"), ("safetensors", "safetensors"))):
                button = ui.button(label, icon="download", on_click=lambda n=number, e=ending: save(n, e))
                button.props("outline dense no-caps padding=xs_md").classes(f"{name}-{ending}")
            button = ui.button("Command line", icon="terminal", on_click=show)
            button.props("outline dense no-caps padding=xs_md").classes(f"{name}-command")
        line = ui.code("", language="bash").classes(f"w-full {name}-line")
        line.set_visibility(False)
