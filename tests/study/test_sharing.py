"""Results that one clone pushed are another's, through a folder and through S3 (a server on loopback)."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from study.shell import commit, output_hashes, run, start

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
NOTHING = {"AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[str]:
    """The address of an S3 server with an empty bucket named `bucket`."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "moto_server"), "-p", str(port)]
    with (tmp_path / "moto.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        options = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=address, **options).create_bucket(Bucket="bucket")
        yield address
        server.terminate()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of two stages that has run: what differs between kinds of remotes needs no more."""
    folder = tmp_path / "small"
    folder.mkdir()
    stages = {
        "a": {"cmd": "mkdir a && cp seed a/1 && cp seed a/2", "deps": ["seed"], "outs": ["a"]},
        "b": {"cmd": "cp a/1 b", "deps": ["a"], "outs": ["b"]},
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / "seed").write_text("1")
    (folder / "conf").mkdir()
    (folder / "conf" / "config.yaml").touch()
    start(folder)
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "repro")
    return folder


def share(folder: Path, address: str, **settings: str) -> Path:
    """Push everything to a remote; before and after, `difflab verify` says what is there."""
    run(folder, "dvc", "remote", "add", "-d", "store", address)
    for name, value in ({"verify": "true"} | settings).items():
        run(folder, "dvc", "remote", "modify", "store", name, value)
    commit(folder, "remote")
    assert run(folder, "difflab", "verify", check=False).returncode == 1
    run(folder, "dvc", "push")
    assert "has every output" in run(folder, "difflab", "verify").stdout
    return folder


def clone(origin: Path, folder: Path) -> Path:
    run(origin, "git", "clone", "-q", str(origin), str(folder))
    return folder


def cached(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / ".dvc" / "cache" / "files").rglob("*"))


def test_s3_is_a_remote_like_a_folder(small, s3, tmp_path, monkeypatch):
    for name, value in (CREDENTIALS | NOTHING).items():
        monkeypatch.setenv(name, value)
    share(small, "s3://bucket/difflab", endpointurl=s3)
    second = clone(small, tmp_path / "second")
    assert "up to date" in run(second, "dvc", "repro", "--pull", "--allow-missing").stdout
    assert cached(second) == 0, "nothing was to be fetched"
    run(second, "dvc", "pull")
    assert "up to date" in run(second, "dvc", "repro").stdout
    assert [(second / name).read_text() for name in ("a/1", "a/2", "b")] == ["1", "1", "1"]


def test_a_clone_gets_what_it_needs_and_no_more(study, tmp_path):
    shared = share(study, str(tmp_path / "store"))
    second = clone(shared, tmp_path / "second")
    assert "up to date" in run(second, "dvc", "repro", "--pull", "--allow-missing").stdout
    assert cached(second) == 0, "nothing was to be fetched"

    params = (second / "params.yaml").read_text()
    (second / "params.yaml").write_text(params.replace("profile: smoke\n", "profile: mine\n"))
    done = run(second, "dvc", "repro", "--pull", "--allow-missing").stdout
    assert re.findall("Running stage '([^']+)'", done) == ["check_params", "report"]
    assert not (second / "data" / "latents").exists()
    assert not (second / "models" / "zoo" / "vae").exists()
    run(second, "git", "restore", "--staged", "--worktree", ".")

    run(second, "dvc", "pull", "--force")
    assert "up to date" in run(second, "dvc", "repro").stdout
    for stage in ("finetune@blip2-minus", "cache_latents"):
        assert output_hashes(second, stage) == output_hashes(shared, stage)
        assert all((second / path).exists() for path in output_hashes(second, stage))


def test_an_experiment_travels(study, tmp_path):
    run(study, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    commit(study, "remote")
    run(study, "dvc", "exp", "run", "-n", "honest", "-S", "caption_score.resamples=500", "report")
    bare = tmp_path / "origin.git"
    run(study, "git", "clone", "-q", "--bare", str(study), str(bare))
    run(study, "git", "remote", "add", "origin", str(bare))
    run(study, "dvc", "push")
    run(study, "dvc", "exp", "push", "origin", "honest")
    second = clone(bare, tmp_path / "second")
    run(second, "dvc", "exp", "pull", "origin", "honest")
    run(second, "dvc", "exp", "apply", "honest")
    assert "resamples: 500" in (second / "params.yaml").read_text()
    assert "up to date" in run(second, "dvc", "repro", "--pull", "--allow-missing").stdout


def test_a_damaged_download_is_refused_and_named(study, tmp_path):
    run(study, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(study, "dvc", "remote", "modify", "store", "verify", "true")
    commit(study, "remote")
    run(study, "dvc", "push", "reports/index.html")
    digest = output_hashes(study, "report")["reports/index.html"]
    place = tmp_path / "store" / "files" / "md5" / digest[:2] / digest[2:]
    place.unlink()  # it may be a link to the object in the cache
    place.write_bytes(b"damaged")
    second = clone(study, tmp_path / "second")
    done = run(second, "dvc", "pull", "reports/index.html", check=False)
    assert done.returncode != 0
    assert "reports/index.html" in done.stdout + done.stderr
    assert not (second / "reports" / "index.html").exists()


def test_a_remote_that_is_not_there_is_named(study):
    run(study, "dvc", "remote", "add", "-d", "store", "s3://bucket/difflab")
    run(study, "dvc", "remote", "modify", "store", "endpointurl", "http://127.0.0.1:9")
    once = {**CREDENTIALS, **NOTHING, "AWS_MAX_ATTEMPTS": "1"}
    done = run(study, "difflab", "doctor", check=False, **once)
    assert done.returncode == 1
    assert re.search(r"remote +store, s3://bucket/difflab\n +MISSING: cannot be read", done.stdout)
    assert os.environ.get("AWS_ACCESS_KEY_ID") != "test"
