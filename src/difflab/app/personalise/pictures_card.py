"""The card of the pictures: dropped, shown, captioned, left out, deleted."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui

from difflab.app.personalise.example import add_example
from difflab.app.personalise.uploads import LEAST, MAX_BYTES, MOST
from difflab.app.telling import guarded, title
from difflab.core.base.store.decoder import decode_image
from difflab.core.base.store.tensors import resized_square

if TYPE_CHECKING:
    from PIL import Image

    from difflab.app.personalise.visitor import Visitor

_THUMBNAIL = 96  # pixels of a side
_HELP = (
    f"Five to ten pictures, from several sides and over several backgrounds ({LEAST} to {MOST} are taken, of at most "
    f"{MAX_BYTES // 1024**2} MB). The largest square in the middle counts. They stay on this machine, in a folder that "
    "only this page knows."
)


class PicturesCard:
    """Built where it stands; `delete` is called when the visitor wants everything deleted."""

    def __init__(self, visitor: "Visitor", delete: Callable[[], None]) -> None:
        self.visitor, self.delete = visitor, delete
        self.over = True  # whether all pictures that were dropped have arrived
        with ui.card().classes("w-full"):
            title("1", "Pictures of the subject")
            ui.label(_HELP).classes("text-sm text-gray-600")
            self.upload = ui.upload(
                multiple=True, auto_upload=True, max_files=MOST, max_file_size=MAX_BYTES, label="Drop pictures here"
            )
            self.upload.classes("w-full").props("flat bordered color=secondary")
            for event in ("uploaded", "failed"):
                self.upload.on(event, self._arrived, js_handler="(e) => emit(e.xhr.responseText)")
            self.upload.on("added", self._begin, args=[])
            self.upload.on("finish", self._finish, args=[])
            names = "(e) => emit(e.map(r => [r.failedPropValidation, r.file.name]))"
            self.upload.on("rejected", self._rejected, js_handler=names)
            self.refused = ui.column().classes("w-full gap-1 refused")
            self.shown = ui.row().classes("w-full gap-2 pictures")
            with ui.row().classes("w-full justify-between"):
                example = ui.button("Example pictures", icon="auto_awesome", on_click=self._add_example)
                everything = ui.button("Delete everything", icon="delete", color="accent", on_click=self._delete)
                for button in (example, everything):
                    button.props("flat dense no-caps")

    async def show(self) -> None:
        """Show what lies in the visitor's folder."""
        session = self.visitor.session
        self.upload.props(f"url=/pictures/{session.token}")
        pictures = session.pictures()
        thumbnails = await asyncio.to_thread(lambda: [_thumbnail(picture) for picture in pictures])
        self.shown.clear()
        with self.shown:
            for picture, thumbnail in zip(pictures, thumbnails, strict=True):
                self._show_one(picture, thumbnail)

    def _show_one(self, picture: Path, thumbnail: "Image.Image") -> None:
        session = self.visitor.session
        with ui.column().classes("gap-0 items-center w-20"):
            with ui.image(thumbnail).classes("w-20 h-20 rounded"):
                button = ui.button(icon="close", on_click=lambda: self._remove(picture))
                button.props("round dense size=xs color=grey-8").classes("absolute top-1 right-1 m-0")
                button.tooltip("Leave this picture out")
            caption = ui.input(value=session.caption(picture), placeholder="caption")
            caption.props("dense borderless input-class=text-xs").classes("w-20")
            caption.tooltip("What the picture shows, with the class word; without one the instance prompt counts")
            caption.on("blur", lambda: session.set_caption(picture, caption.value or ""))

    async def _remove(self, picture: Path) -> None:
        self.visitor.session.remove(picture)
        await self.show()

    def _begin(self) -> None:
        """Forget the lines of what was dropped before."""
        if self.over:
            self.refused.clear()
        self.over = False

    def _arrived(self, event) -> None:
        try:
            self._refuse(json.loads(event.args)["refused"])
        except (TypeError, ValueError, KeyError):
            self._refuse(["a picture did not arrive: is the server running?"])

    async def _finish(self) -> None:
        """All that was dropped has been sent; to empty the list earlier would break off the others."""
        self.over = True
        self.upload.reset()
        await self.show()

    def _rejected(self, event) -> None:
        """Say what the browser did not even send; of many files with one line for those beyond `MOST`."""
        self._begin()
        large = [name for why, name in event.args if why == "max-file-size"]
        lines = [f"'{name}' is larger than {MAX_BYTES // 1024**2} MB: save it smaller" for name in large]
        if more := len(event.args) - len(large):
            lines.append(f"{more} more picture{'s are' if more > 1 else ' is'} not taken: {MOST} are enough")
        self._refuse(lines)

    def _refuse(self, lines: list[str]) -> None:
        with self.refused:
            for line in lines:
                ui.label(line).classes("text-sm text-negative")

    async def _add_example(self) -> None:
        with guarded():
            await asyncio.to_thread(add_example, self.visitor.session)
        await self.show()

    async def _delete(self) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label("Delete the pictures, the training and what it made?")
            with ui.row():
                ui.button("Delete", color="accent", on_click=lambda: dialog.submit(True))
                ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat")
        if await dialog:
            self.delete()
            ui.notify("Everything of this page is deleted.")
            await self.show()


def _thumbnail(picture: Path) -> "Image.Image":
    return resized_square(decode_image(picture.read_bytes(), picture.name), _THUMBNAIL)
