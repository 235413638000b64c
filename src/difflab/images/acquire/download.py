"""Downloading one file with resume, progress and a hash check."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file

_CHUNK = 1024 * 1024


def download(url: str, path: Path, partial: Path, sha256: str | None, timeout: float = 60) -> None:
    """Fetch `url` to `path`. An interrupted download resumes from `partial` (HTTP Range) at the next call.

    Raises:
        DifflabError: the address is not http(s), the server fails, or the content has another hash.
    """
    if not url.startswith(("http://", "https://")):
        raise DifflabError(f"'{url}' is not an http(s) address: correct data.*.url")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, partial, timeout)
    except urllib.error.HTTPError as error:
        raise DifflabError(f"{url} answers {error.code} {error.reason}: check the address, then run again") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise DifflabError(f"{url} cannot be fetched ({error}): run again to resume") from None
    found = sha256_file(partial)
    if sha256 is not None and found != sha256:
        partial.unlink()
        raise DifflabError(f"{url} has sha256 {found}, not {sha256}: the file was removed; check data.*.sha256")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(partial, path)


def _fetch(url: str, partial: Path, timeout: float) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to fetch
            return
        raise
    with response, partial.open("ab" if response.status == 206 else "wb") as file:
        length = response.headers.get("Content-Length")
        chunks = iter(lambda: response.read(_CHUNK), b"")
        total = None if length is None else -(-int(length) // _CHUNK)
        received = 0
        for chunk in runtime.progress(chunks, total=total, desc=partial.name, unit="MiB"):
            file.write(chunk)
            received += len(chunk)
    if length is not None and received < int(length):
        raise ConnectionError(f"{received} of {length} bytes arrived")
