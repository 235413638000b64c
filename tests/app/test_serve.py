import socket

import pytest

from difflab.app.serve import HOST, check_port
from difflab.core.base.errors import DifflabError


def test_a_taken_port_is_one_line_with_another():
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DifflabError, match=rf"port {port} is taken.*: name another with --port {port + 1}"):
            check_port(port)
    check_port(port)


def test_without_the_extra_the_page_says_what_to_install(monkeypatch):
    import sys

    from difflab.app import serve

    monkeypatch.setitem(sys.modules, "nicegui", None)
    with pytest.raises(DifflabError, match=r"NiceGUI: install it with .*\[app\]"):
        serve.serve(7860, None)
