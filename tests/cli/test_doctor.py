"""What `difflab doctor` says of a machine, a repository and the needs of a profile, and what it never says."""

import shutil
import subprocess
import sys

import pytest

from difflab.cli import doctor
from difflab.cli.compose import compose, validate
from fakes import pipeline

TOKEN = "hf_doNotShowThis"


@pytest.fixture
def examine(root, tmp_path, monkeypatch):
    """The findings in a repository of its own, without token, data root and cached models."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "DIFFLAB_DATA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    shutil.copytree(root / "conf", tmp_path / "study" / "conf")
    shutil.copy(root / "dvc.yaml", tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    pipeline.init()

    def examine(*overrides):
        text = compose(overrides)
        (tmp_path / "study" / "params.yaml").write_text(text)
        return doctor.examine(validate(text, "test"))

    return examine


def dvc(*words):
    subprocess.run([sys.executable, "-m", "dvc", *words], check=True)


def missing(findings, topic=""):
    return [f.remedy for f in findings if f.remedy and f.topic.startswith(topic)]


def test_the_default_profile_lacks_nothing(examine):
    findings = examine()
    assert missing(findings) == []
    topics = {f.topic for f in findings}
    assert {"python", "packages", "machine", "device", "jobs", "cache", "remote", "disk", "data"} <= topics


def test_the_published_profile_needs_licences_archives_and_disk(examine, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**9))
    findings = examine("profile=paper")
    assert any(
        "accepted the licence at https://huggingface.co/meta-llama/" in line for line in missing(findings, "weights")
    )
    assert all("DIFFLAB_DATA" in line for line in missing(findings, "data"))
    assert missing(findings, "disk") == ["free some space, or put the caches on another disk"]


def test_with_a_token_the_stages_fetch_what_is_gated(examine, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert missing(examine("profile=paper"), "weights") == []


def test_other_versions_than_the_locked_ones_are_named(examine, monkeypatch):
    from difflab.core import environment

    monkeypatch.setattr(environment, "installed", lambda library: "0.1" if library == "torch" else None)
    (found,) = (f for f in examine() if f.topic == "versions")
    assert "torch 0.1 instead of" in found.text
    assert "results may differ" in found.text
    assert found.remedy == ""


def test_an_edited_params_yaml_is_noted(examine):
    assert any("differs from the default" in f.text for f in examine("seed=3") if f.topic == "params")


def test_a_remote_is_looked_at(examine, tmp_path):
    dvc("remote", "add", "-d", "store", str(tmp_path / "absent" / "store"))
    (remedy,) = missing(examine(), "remote")
    assert "there is no such folder" in remedy
    (tmp_path / "absent").mkdir()
    assert missing(examine(), "remote") == []


def test_a_remote_that_nobody_answers_for_is_named(examine, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAsecret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secretsecret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    dvc("remote", "add", "-d", "bucket", "s3://bucket/store")
    dvc("remote", "modify", "bucket", "endpointurl", "http://127.0.0.1:9")
    findings = examine()
    (remedy,) = missing(findings, "remote")
    assert "cannot be read" in remedy
    assert "secret" not in "\n".join(map(str, findings))


def test_released_models_need_a_gpu(examine, monkeypatch):
    monkeypatch.setattr(doctor, "visible_gpus", list)
    assert missing(examine(), "device") == []
    assert "an NVIDIA GPU" in missing(examine("profile=paper"), "device")[0]


def test_a_tracking_server_that_is_not_there_is_named(examine, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "no answer from there" in missing(examine(), "tracking")[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    assert missing(examine(), "tracking") == []


def test_an_unfinished_merge_is_named(examine):
    def git(*words, check=True):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], check=check)

    git("init", "-q", "-b", "main")
    for branch, text in (("main", "common"), ("theirs", "one"), ("main", "two")):
        git("switch", "-q", branch, check=False)
        with open("dvc.lock", "w") as lock:
            lock.write(text)
        git("add", "dvc.lock")
        git("commit", "-qm", text)
        git("branch", "theirs", check=False)
    git("merge", "-q", "theirs", check=False)
    assert "an end to the merge of dvc.lock" in missing(examine(), "git")[0]


def test_no_secret_is_printed(examine, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:password@mlflow.example.org/team?key=abc")
    text = "\n".join(map(str, examine("profile=paper")))
    assert "https://mlflow.example.org/team" in text
    assert not any(secret in text for secret in (TOKEN, "password", "me:", "key=abc"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://bucket/path", "s3://bucket/path"),
        ("https://me:key@host:9000/x?sig=1#f", "https://host:9000/x"),
        ("ssh://me@host/path", "ssh://host/path"),
        ("/a/folder", "/a/folder"),
        ("refused by https://me:key@host/x today", "refused by https://host/x today"),
    ],
)
def test_addresses_lose_their_secrets(address, shown):
    assert doctor.without_secrets(address) == shown
