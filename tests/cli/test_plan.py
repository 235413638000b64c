"""What a run needs, told before it starts and without asking a server."""

import functools
import re
import subprocess
import sys

import pytest
import yaml

from difflab.cli.compose import compose, validate
from difflab.cli.plan import hub_models, plan, runs
from difflab.core.base.errors import DifflabError
from fakes.face_archives import celeba_hq_members, write_members
from fakes.set_archives import write_folder


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch, tmp_path):
    """No token, no data root, nothing cached."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "DIFFLAB_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture(scope="module")
def make(root):
    return functools.cache(lambda *overrides: validate(compose(overrides, root / "conf"), "test"))


def test_stages_and_matrix_items_are_counted(make, tmp_path):
    matrix = {"a": ["x", "y"], "b": ["1", "2", "3"]}
    stages = {"one": {"cmd": "x"}, "many": {"matrix": matrix, "cmd": "y"}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    assert "2 stages of dvc.yaml, 7 runs with every" in plan(make(), tmp_path / "dvc.yaml")


def test_the_default_profile_needs_nothing(make, root):
    text = plan(make(), root / "dvc.yaml")
    assert "trained    zoo.vision_encoder, zoo.vae" in text
    assert "weights    none to fetch, no account needed" in text
    assert "MISSING" not in text
    for name in ("celeba_hq", "celeba", "cifar10", "mnist", "scenes", "coco", "recipes"):
        assert re.search(rf"data +{name}: built from images .*, nothing to fetch", text)
    assert "about 2 GB needed" in text


def test_the_published_profile_names_repositories_revisions_accounts_and_disk(make, root):
    params = make("profile=paper")
    text = plan(params, root / "dvc.yaml")
    models = {model.role: model for model in hub_models(params)}
    assert {"zoo.vae", "zoo.text", "zoo.blip2", "zoo.llama", "zoo.transformer"} <= set(models)
    for model in models.values():
        assert model.hub.repo_id in text
        assert (model.hub.revision or "@ no pinned revision") in text
        assert model.gigabytes, f"{model.role}: say how large {model.hub.repo_id} is"
    assert "accepted the licence at https://huggingface.co/stabilityai/stable-diffusion-3" in text
    assert "accepted the licence at https://huggingface.co/meta-llama/" in text
    assert "huggingface.co/Salesforce" not in text
    assert "Inception weights" in text
    assert re.search(r"disk +\d+ GB free, about \d+ GB needed \(models [\d.]+ GB, results at their peak", text)


def test_a_token_is_said_to_be_there_but_never_shown(make, root, monkeypatch):
    assert "MISSING: a token in HF_TOKEN, of an account" in plan(make("profile=paper"), root / "dvc.yaml")
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    text = plan(make("profile=paper"), root / "dvc.yaml")
    assert "fetched by its stage with the token of HF_TOKEN" in text
    assert "MISSING: a token" not in text
    assert "verysecret" not in text


def test_archives_are_looked_for_where_the_data_root_says(make, root, monkeypatch, tmp_path):
    params = make("data.celeba_hq.source=data_root", f"data.data_root={tmp_path / 'absent'}")
    assert "data.data_root is" in plan(params, root / "dvc.yaml")
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path))  # the environment wins
    archive = tmp_path / params.data.celeba_hq.path
    text = plan(params, root / "dvc.yaml")
    assert re.search(
        rf"not there\n +MISSING: {re.escape(str(archive))} is missing: accept the terms .* put it there", text
    )
    for place in (archive.with_suffix(".ZIP"), archive.with_suffix("")):  # in another case, and unpacked
        write = write_members if place.suffix else write_folder
        archive.parent.mkdir(exist_ok=True)
        write(place, {"readme.txt": "?"})
        assert f"MISSING: {place} does not hold celeba_hq" in plan(params, root / "dvc.yaml")
        write(place, celeba_hq_members({}, 3))
        assert f"celeba_hq: {place}: found" in plan(params, root / "dvc.yaml")
        place.rename(tmp_path / f"away{place.suffix}")


def test_the_stages_that_values_would_run_are_named_with_their_minutes(tmp_path, monkeypatch):
    """Asked of DVC itself: params.yaml is not written, the parameters are those that are asked about."""
    monkeypatch.chdir(tmp_path)
    stages = {
        "first": {"cmd": "echo > a", "params": ["rank"], "outs": ["a"]},
        "second": {"cmd": "echo > b", "deps": ["a"], "outs": ["b"]},
        "other": {"cmd": "echo > c", "params": ["seed"], "outs": ["c"]},
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (tmp_path / "params.yaml").write_text("rank: 4\nseed: 0\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "seconds.yaml").write_text("first: 240\nsecond: 120\nother: 60\n")
    monkeypatch.setattr("difflab.cli.repro.default_jobs", lambda: 1)
    for command in (("init", "--no-scm", "-q"), ("repro", "-q")):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True)
    assert runs({"rank": 4, "seed": 0}) == "to run: nothing, all is up to date"
    text = runs({"rank": 8, "seed": 0})
    assert text.startswith("to run: 2 of them, about 6 minutes with 1 at once")
    assert text.endswith(": first, second")
    assert (tmp_path / "params.yaml").read_text() == "rank: 4\nseed: 0\n"


def test_items_of_a_matrix_are_those_that_the_values_give_it(tmp_path, monkeypatch):
    """As the adapters of the published profile, three in place of six."""
    monkeypatch.chdir(tmp_path)
    item = {"matrix": {"kind": ["${kind.a}", "${kind.b}"]}, "cmd": "echo > ${item.kind}", "outs": ["${item.kind}"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": item}}))
    (tmp_path / "params.yaml").write_text("kind: {a: one, b: two}\n")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True)
    assert runs({"kind": {"a": "one", "b": "two"}}, estimated=False) == "to run: 2 of them: train x 2"
    assert runs({"kind": {"a": "both", "b": "both"}}, estimated=False) == "to run: 1 of them: train"


def test_where_dvc_cannot_tell_the_plan_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DifflabError, match=r"dvc\.yaml is missing"):
        runs({})
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "true"}}}))
    (tmp_path / "params.yaml").write_text("a: 1\n")
    assert runs({}).startswith("to run: not known (")  # no repository of DVC
    (tmp_path / "dvc.lock").write_text("schema: [broken")
    with pytest.raises(DifflabError, match=r"dvc\.lock is not valid YAML"):
        runs({})
