"""`difflab app`: serves the page on this machine alone."""

import asyncio
import errno
import os
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.study import Params

HOST = "127.0.0.1"  # never another: whoever reaches the page computes on this machine and sees its models


def serve(port: int, params: "Params") -> None:
    """Serve the page on `HOST` until Ctrl-C.

    Raises:
        DifflabError: NiceGUI is not installed, or the port is taken or forbidden.
    """
    try:
        from nicegui import app, background_tasks, ui
    except ModuleNotFoundError as error:
        if error.name != "nicegui":
            raise
        raise DifflabError("the page needs NiceGUI: install it with `pip install -e '.[app]'`") from None
    check_port(port)
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from difflab.app.models import Models
    from difflab.app.page import page
    from difflab.app.personalise import job, sessions, uploads

    runtime.configure(params.runtime.num_threads)
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # NiceGUI would take a port of its own tests
    for session in sessions.all_sessions():
        if sessions.is_left(session) and not job.progress(session.job).running:
            session.delete()
    uploads.add_route(app)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.on_shutdown(lambda: [job.stop(session.job) for session in sessions.all_sessions()])
    app.on_startup(lambda: background_tasks.create(_tell(port)))
    with suppress(KeyboardInterrupt):
        ui.run(
            partial(page, Models(params)), host=HOST, port=port, title="difflab", reload=False, show=False,
            show_welcome_message=False, reconnect_timeout=30.0,
        )  # fmt: skip


async def _tell(port: int) -> None:
    """Print the address once it answers."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            break
        await asyncio.sleep(0.05)
    print(f"difflab app: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)


def check_port(port: int) -> None:
    """Refuse, as a DifflabError, a port that cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = {errno.EADDRINUSE: "is taken, perhaps by another `difflab app`", errno.EACCES: "needs privileges"}
            reason = why.get(error.errno or 0, f"cannot be used ({error.strerror})")
            raise DifflabError(f"port {port} {reason}: name another with --port {min(port + 1, 65535)}") from None
