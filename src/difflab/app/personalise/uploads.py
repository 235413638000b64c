"""What a visitor may upload, and the one way in: a picture at a time, looked at before it is written."""

import asyncio
import re
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.app.personalise.sessions import Session, find_session
from difflab.core.base.errors import DifflabError, one_line, printable
from difflab.core.base.files import write_bytes
from difflab.core.base.store.decoder import decode_image
from difflab.images.archives.pictures import ENDINGS, is_named_picture

if TYPE_CHECKING:
    from fastapi import FastAPI

LEAST, MOST = 3, 20  # pictures; five to ten are usual
MAX_BYTES = 20 * 1024**2  # of a picture
_SMALLEST = 16  # pixels of a side
_AROUND = 64 * 1024  # bytes of a request around its picture
_adding = asyncio.Lock()  # of all visitors: one picture is decoded at a time, which may take 300 MB


def add_picture(session: Session, name: str, content: bytes) -> None:
    """Keep an uploaded picture under a number of its own.

    Raises:
        DifflabError: its name is a path or no picture's, it is too large or too small, no picture at all or there
            already, there are enough, or it cannot be written.
    """
    shown = f"'{printable(name)}'"
    if re.search(r"[/\\\0]", name) or name in (".", ".."):
        raise DifflabError(f"{shown} names a path: upload a picture under its plain name")
    if not is_named_picture(name):
        raise DifflabError(f"{shown} is no picture by its name: take {', '.join(ENDINGS[:4])} and the like")
    if len(content) > MAX_BYTES:
        raise DifflabError(f"{shown} has {len(content) / 1024**2:.0f} MB: at most {MAX_BYTES // 1024**2} are taken")
    present = session.pictures()
    if len(present) >= MOST:
        raise DifflabError(f"{shown} is not taken: {MOST} pictures are enough, five to ten are usual")
    side = min(decode_image(content, name).size)
    if side < _SMALLEST:
        raise DifflabError(f"{shown} is {side} pixels small: a picture needs {_SMALLEST} or more on each side")
    if any(picture.stat().st_size == len(content) and picture.read_bytes() == content for picture in present):
        raise DifflabError(f"{shown} is there already")
    number = max((int(picture.stem) for picture in present), default=0) + 1
    try:
        write_bytes(session.subject / f"{number:02d}{PurePosixPath(name).suffix.lower()}", content)
    except OSError as error:
        raise DifflabError(one_line(error) or f"{shown} cannot be written ({error.strerror})") from None


def check_count(count: int) -> None:
    """Refuse, as a DifflabError, too few or too many pictures to train on."""
    if not count:
        raise DifflabError("there are no pictures yet: drop five to ten of the subject")
    if count < LEAST:
        raise DifflabError(f"{count} picture{'s are' if count > 1 else ' is'} too few: add some, five to ten are usual")
    if count > MOST:
        raise DifflabError(f"{count} pictures are too many: at most {MOST} are taken")


def add_route(app: "FastAPI") -> None:
    """Let the browser POST a picture to /pictures/<token>; the answer says in lines what is refused."""
    from fastapi import Request
    from fastapi.responses import JSONResponse
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartParser
    from starlette.requests import ClientDisconnect

    MultiPartParser.spool_max_size = MAX_BYTES + _AROUND  # an upload stays in memory until it has been looked at

    @app.post("/pictures/{token}", include_in_schema=False)
    async def pictures(token: str, request: Request) -> JSONResponse:
        if (session := find_session(token)) is None:
            return JSONResponse({"refused": ["this page is no longer known here: load it anew"]}, status_code=404)
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES + _AROUND:
            line = f"the picture is larger than {MAX_BYTES // 1024**2} MB: save it smaller"
            return JSONResponse({"refused": [line]}, status_code=413)
        refused = []
        with suppress(ClientDisconnect):  # nobody waits for the answer
            async with request.form(max_files=1, max_fields=0) as form:
                for upload in form.values():
                    assert isinstance(upload, UploadFile)
                    content = await upload.read()
                    try:
                        async with _adding:
                            await asyncio.to_thread(add_picture, session, upload.filename or "", content)
                    except DifflabError as error:
                        refused.append(str(error))
        return JSONResponse({"refused": refused})
