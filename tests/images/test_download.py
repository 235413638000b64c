"""Downloading: resume by Range, hash check, clear errors; against a small local server."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes
from difflab.images.archives.acquire import download

CONTENT = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT: /file with ranges, /plain without, /short breaks off half way."""

    def do_GET(self):
        self.server.seen.append(self.headers.get("Range"))
        if self.path == "/absent":
            self.send_error(404)
            return
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(wanted[1]) if wanted and self.path != "/plain" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT) // 2 if self.path == "/short" and not start else None
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        yield running
        running.shutdown()


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "out" / "a.zip", tmp_path / "scratch" / "a.part"


def test_a_file_arrives_whole(server, paths):
    path, partial = paths
    download(f"{server.url}/file", path, partial, sha256_bytes(CONTENT))
    assert path.read_bytes() == CONTENT
    assert not partial.exists()


def test_a_broken_download_goes_on_from_where_it_stopped(server, paths):
    path, partial = paths
    with pytest.raises(DifflabError, match="run again"):
        download(f"{server.url}/short", path, partial, None)
    assert not path.exists()
    assert partial.read_bytes() == CONTENT[: len(CONTENT) // 2]

    download(f"{server.url}/short", path, partial, sha256_bytes(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.seen == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_server_without_ranges_starts_over(server, paths):
    path, partial = paths
    partial.parent.mkdir()
    partial.write_bytes(b"other")
    download(f"{server.url}/plain", path, partial, sha256_bytes(CONTENT))
    assert path.read_bytes() == CONTENT


def test_a_finished_part_is_not_fetched_again(server, paths):
    path, partial = paths
    partial.parent.mkdir()
    partial.write_bytes(CONTENT)
    download(f"{server.url}/file", path, partial, sha256_bytes(CONTENT))
    assert path.read_bytes() == CONTENT


def test_other_content_is_refused_and_removed(server, paths):
    path, partial = paths
    with pytest.raises(DifflabError, match="sha256"):
        download(f"{server.url}/file", path, partial, "0" * 64)
    assert not path.exists()
    assert not partial.exists()


def test_what_the_server_answers_is_told(server, paths):
    with pytest.raises(DifflabError, match="answers 404"):
        download(f"{server.url}/absent", *paths, None)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/a.zip", "a.zip"])
def test_only_http_is_fetched(paths, url):
    with pytest.raises(DifflabError, match="not an http"):
        download(url, *paths, None)
