"""How long `difflab app` takes to start, to make its first picture, and to answer a click, in a real Chromium.

    python bench/app.py                  # in the root of a finished study
    python bench/app.py --clicks 20 FOLDER

On two idle cores the page should stand after at most 20 s, and a click on a word or a patch answer within 0.5 s: until the
heat map of the new place is drawn in the browser.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

ANOTHER = "before => (now => now && now.complete && now.src !== before)(document.querySelector('.looked-at img'))"
PROMPT = "a handwritten four over a photo of a cat"


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--clicks", type=int, default=10)
    args = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("there is no Chromium here: install Debian's chromium")
    print(f"{len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}")
    started = time.perf_counter()
    with served(args.folder.resolve()) as address, sync_playwright() as playwright:
        print(f"the page stands after {time.perf_counter() - started:.1f} s", flush=True)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address, timeout=600_000)
        print(f"the first picture and its attention: {made(page):.1f} s", flush=True)
        for name, seconds in (("word", words(page, args.clicks)), ("patch", patches(page, args.clicks))):
            print(f"a click on a {name}: {median(seconds):.2f} s, at most {max(seconds):.2f} s", flush=True)
        browser.close()


@contextmanager
def served(folder: Path) -> "Iterator[str]":
    """The page of a study under a free port, as its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-c", "from difflab.cli.main import main; main()", "app", "--port", str(port)],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder / "src"), "CI": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(address, timeout=60):
                break
            time.sleep(0.05)
        else:
            sys.exit("difflab app did not start")
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def made(page: "Page") -> float:
    """Seconds until the picture of `PROMPT` and its words stand in the tab Attention."""
    page.get_by_role("tab", name="Attention").click()
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    started = time.perf_counter()
    page.get_by_role("button", name="Make").click()
    page.locator(".word").first.wait_for(timeout=600_000)
    return time.perf_counter() - started


def words(page: "Page", clicks: int) -> list[float]:
    places = page.locator(".word")
    return [answered(page, lambda n=n: places.nth(n % places.count()).click()) for n in range(clicks)]


def patches(page: "Page", clicks: int) -> list[float]:
    picture = page.locator(".looked-at img").first
    box = picture.bounding_box()
    spots = [
        {"x": box["width"] * (0.1 + 0.8 * n / clicks), "y": box["height"] * (0.3, 0.7)[n % 2]} for n in range(clicks)
    ]
    return [answered(page, lambda spot=spot: picture.click(position=spot)) for spot in spots]


def answered(page: "Page", click: object) -> float:
    """Seconds from a click to the picture that answers it."""
    picture = page.locator(".looked-at img").first
    before, started = drawn(picture), time.perf_counter()
    click()
    page.wait_for_function(ANOTHER, arg=before, polling=10)
    return time.perf_counter() - started


def drawn(picture: "Locator") -> str:
    return picture.evaluate("image => image.src")


if __name__ == "__main__":
    main()
