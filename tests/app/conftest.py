"""A repository with tiny models, the app served from it, and a real browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from difflab.cli.compose import compose
from fakes import adapters
from fakes.block_results import write_block_inputs

SMALL = [
    "profile=smoke", "personal.lora.rank=2", "personal.lora.targets=[to_q,to_k,to_v,to_out.0]",
    "personal.lora.text_targets=[q_proj,v_proj]", "personal.images_per_prompt=2", "personal.class_images=4",
    "personal.prior_images=4",
]  # fmt: skip


@pytest.fixture(scope="session")
def project(tmp_path_factory, root):
    """The code of the repository with models of milliseconds: bases and adapters of random weights, the vision encoder of
    rulers/, and a ranking of blocks."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("src", "stages", "conf", "dvc.yaml"):
        (folder / name).symlink_to(root / name)
    (folder / "params.yaml").write_text(compose(SMALL, root / "conf"))
    adapters.study_models(folder)
    write_block_inputs(folder)
    shutil.copytree(root / "rulers/vision_encoder", folder / "models/zoo/vision_encoder")
    return folder


@pytest.fixture
def inside(project, monkeypatch):
    """The tests' process in the repository."""
    monkeypatch.chdir(project)
    return project


class Server:
    """`difflab app` as a program."""

    def __init__(self, project, root):
        self.project, self.root = project, root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self):
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "CI": "1"}
        self.log = self.project / "app.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from difflab.cli.main import main; main()", "app", "--port", str(self.port)],
                cwd=self.project, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        while self.address not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


@pytest.fixture(scope="session")
def server(project, root):
    pytest.importorskip("nicegui", reason="the page is not installed: the extra app")
    served = Server(project, root)
    served.start()
    yield served
    served.stop()
    assert not re.search("Traceback", served.log.read_text()), served.log.read_text()


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: the extra dev")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here: install Debian's chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server):
    """Open the page as a new visitor: `visit()`."""
    contexts = []

    def opened():
        context = chromium.new_context(viewport={"width": 1200, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(180_000)
        page.goto(server.address)
        page.wait_for_function("sessionStorage.getItem('difflab-session') !== null")
        return page

    yield opened
    for context in contexts:
        context.close()
