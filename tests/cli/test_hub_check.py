"""What the Hub would refuse is named before a run: each file's first byte is asked of a server that plays the Hub."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from difflab.cli.hub_check import hub_check
from difflab.cli.plan import Model
from difflab.core.params.common import HubRef

FILES = ("config.json", "model.safetensors", "pytorch_model.bin")
TOKEN = "hf_doNotShowThis"


@pytest.fixture
def hub(monkeypatch):
    """Answers by the repository's name: open/, gated/, gone/, slow/, whole/ (knows no ranges), bare/ (no weights)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Range")))
            owner = self.path.removeprefix("/api/models").split("/")[1]
            if owner == "slow":
                time.sleep(2)
            if owner == "gone":
                return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            if self.path.startswith("/api/"):
                names = FILES[:1] if owner == "bare" else FILES
                listing = {"id": "x", "sha": "0" * 40, "siblings": [{"rfilename": name} for name in names]}
                return self.answer(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})
            if owner == "gated":
                code = 403 if self.headers.get("Authorization") else 401
                return self.answer(code, b"", {"X-Error-Code": "GatedRepo"})
            if owner == "whole":
                return self.answer(200, b"x" * 100_000, {})
            return self.answer(206, b"x", {})

        def answer(self, status, content, headers):
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client had what it wanted

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
    yield asked
    server.shutdown()
    server.server_close()


def model(repo_id, role="zoo.vae", allow_patterns=None, **fields):
    given = HubRef(repo_id=repo_id, revision=None, subfolder=None, allow_patterns=allow_patterns, **fields)
    return Model(role, given, cached=False)


def checked(*models, **limits):
    return list(hub_check(list(models), **limits))


def test_every_file_of_a_role_is_asked_for_its_first_byte(hub):
    (finding,) = checked(model("open/model"))
    assert finding.remedy == ""
    assert finding.text.endswith("all 2 files can be fetched")
    ranges = {path.rpartition("/")[2]: asked for path, asked in hub if "/resolve/" in path}
    assert ranges == {
        "config.json": "bytes=0-0",
        "model.safetensors": "bytes=0-0",
    }  # weights of other kinds are not loaded


def test_a_server_without_ranges_is_left_after_the_first_byte(hub):
    assert checked(model("whole/model"))[0].remedy == ""


@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_licence_that_is_missing_is_named_with_its_page(hub, monkeypatch, token):
    """Its metadata can be read by everybody, its files not."""
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    (finding,) = checked(model("gated/model"))
    assert "gated/model requires its licence to be accepted" in finding.text
    assert ("the token in use has no access" if token else "no token is set") in finding.text
    assert finding.remedy.startswith("accept it at https://huggingface.co/gated/model")
    assert TOKEN not in str(finding)


def test_a_repository_that_has_vanished_is_named(hub):
    (finding,) = checked(model("gone/model"))
    assert "gone/model does not exist" in finding.text
    assert "https://huggingface.co/gone/model" in finding.remedy


def test_where_one_has_vanished_its_fallback_is_asked(hub):
    vanished = model("gone/model")
    mirror = SimpleNamespace(repo_id="open/mirror", revision="main", reason="deleted in November 2025")
    object.__setattr__(vanished.hub, "__dict__", {**vanished.hub.__dict__, "fallback": mirror})
    (finding,) = checked(vanished)
    assert finding.remedy == ""
    assert "open/mirror@main, all 2 files can be fetched" in finding.text
    assert "gone/model is gone: deleted in November 2025" in finding.text


def test_a_repository_without_weights_of_the_role_is_named(hub):
    (finding,) = checked(model("bare/model"))
    assert "has no safetensors among 1 files of this role" in finding.text
    assert finding.remedy


def test_pickled_weights_that_the_role_names_are_weights(hub):
    (finding,) = checked(model("open/model", allow_patterns=["config.json", "pytorch_model.bin"]))
    assert finding.text.endswith("all 2 files can be fetched")
    assert {path.rpartition("/")[2] for path, _ in hub if "/resolve/" in path} == {"config.json", "pytorch_model.bin"}


def test_a_slow_server_is_named_and_keeps_the_others_from_nothing(hub):
    started = time.monotonic()
    slow, quick = checked(model("slow/model"), model("open/model", "zoo.text"), seconds=0.3, all_seconds=1.5)
    assert time.monotonic() - started < 2
    assert "slow/model" in slow.text
    assert slow.remedy
    assert quick.remedy == ""


def test_several_models_of_one_role_have_a_line_each(hub):
    """As the models of the sweep have."""
    named = [model(f"{kind}/model", "sweep") for kind in ("gone", "open", "gated")]
    gone, there, gated = checked(*named)
    assert "does not exist" in gone.text
    assert there.remedy == ""
    assert "requires its licence" in gated.text


def test_without_a_network_each_model_is_named_and_the_remedy_said_once(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    one, two, together = checked(model("open/model"), model("other/model", "zoo.text"))
    assert "zoo.vae: the Hub cannot be reached for open/model@main" in one.text
    assert "zoo.text: the Hub cannot be reached for other/model@main" in two.text
    assert (one.remedy, two.remedy) == ("", "")
    assert together.text == "2 of 2 cannot be reached"
    assert together.remedy.startswith("check the network")


def test_roles_of_one_repository_list_it_once(hub):
    checked(model("open/model"), model("open/model", "zoo.text"))
    assert sum(path.startswith("/api/models/open/model") for path, _ in hub) == 1


def test_offline_is_said_in_one_line(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (finding,) = checked(model("open/model"), model("gone/model"))
    assert "HF_HUB_OFFLINE" in str(finding)
    assert hub == []


def test_a_profile_without_released_models_asks_nobody(hub, tmp_path):
    assert checked()[0].remedy == ""
    assert checked(model(str(tmp_path)))[0].remedy == ""
    assert hub == []
