"""A role is a local folder or a pointer to the Hub; consumers load either without knowing which."""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from difflab.core.base import roles
from difflab.core.base.errors import DifflabError
from difflab.core.params.common import HubRef
from difflab.models.pointers import point_to, write_pointer
from fakes.hub_cache import REVISION, contents, hub, publish
from fakes.running_stage import RunningStage

FILES = {
    "vae/config.json": b"{}",
    "vae/weights.safetensors": b"vae",
    "vae/weights.fp16.safetensors": b"half",
    "vae/weights.bin": b"pickle",
    "unet/weights.safetensors": b"unet",
    "README.md": b"#",
}


def test_a_trained_role_is_its_own_folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert roles.resolve(tmp_path) == tmp_path


def test_a_pointer_resolves_to_the_snapshot_in_the_cache(cache, tmp_path):
    snapshot = publish(cache, FILES)
    write_pointer(tmp_path / "vae", hub(subfolder="vae"))
    assert [p.name for p in (tmp_path / "vae").iterdir()] == ["source.json"]
    assert roles.resolve(tmp_path / "vae") == snapshot / "vae"
    write_pointer(tmp_path / "both", hub(allow_patterns=["vae/*", "unet/*"]))
    assert roles.resolve(tmp_path / "both") == snapshot


def test_a_pointer_lists_its_files_without_pickles_and_half_precision_copies(cache, tmp_path):
    publish(cache, FILES)
    write_pointer(tmp_path / "vae", hub(subfolder="vae"))
    pointer = json.loads((tmp_path / "vae" / "source.json").read_text())
    assert pointer == {
        "repo_id": "maker/model",
        "revision": REVISION,
        "subfolder": "vae",
        "allow_patterns": None,
        "files": {"vae/config.json": None, "vae/weights.safetensors": hashlib.sha256(b"vae").hexdigest()},
    }


def test_pickled_weights_are_taken_where_a_role_names_their_file(cache, tmp_path):
    """DINO's repository has nothing else."""
    snapshot = publish(cache, {"config.json": b"{}", "pytorch_model.bin": b"pickle", "tf_model.h5": b"other"})
    write_pointer(tmp_path / "named", hub(allow_patterns=["config.json", "pytorch_model.bin"]))
    assert set(json.loads((tmp_path / "named/source.json").read_text())["files"]) == {
        "config.json",
        "pytorch_model.bin",
    }
    assert roles.resolve(tmp_path / "named") == snapshot
    write_pointer(tmp_path / "all", hub(allow_patterns=["*.json", "*.bin"]))
    assert set(json.loads((tmp_path / "all/source.json").read_text())["files"]) == {"config.json"}


def test_an_unknown_revision_is_looked_up_and_recorded(cache, tmp_path):
    publish(cache, FILES)
    write_pointer(tmp_path / "vae", hub(revision=None, subfolder="vae"))
    assert json.loads((tmp_path / "vae" / "source.json").read_text())["revision"] == REVISION


def test_online_the_hub_says_revision_and_hashes_and_nothing_is_downloaded(cache, tmp_path, monkeypatch):
    def model_info(self, repo_id, revision, files_metadata):
        assert (repo_id, revision, files_metadata) == ("maker/model", None, True)
        large = SimpleNamespace(sha256=hashlib.sha256(b"vae").hexdigest())
        names = {"vae/config.json": None, "vae/weights.safetensors": large, "unet/weights.safetensors": large}
        siblings = [SimpleNamespace(rfilename=name, lfs=lfs) for name, lfs in names.items()]
        return SimpleNamespace(sha=REVISION, siblings=siblings)

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    write_pointer(tmp_path / "online", hub(revision=None, subfolder="vae"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    publish(cache, FILES)
    write_pointer(tmp_path / "offline", hub(revision=None, subfolder="vae"))
    assert contents(tmp_path / "online") == contents(tmp_path / "offline")


def test_a_local_folder_in_place_of_a_repository(tmp_path):
    shutil.copytree(write(tmp_path / "weights", FILES), tmp_path / "copy")
    write_pointer(tmp_path / "role", hub(str(tmp_path / "weights"), None, "vae"))
    assert roles.resolve(tmp_path / "role") == tmp_path / "weights" / "vae"
    before = roles.fingerprint(tmp_path / "role")
    (tmp_path / "weights" / "vae" / "config.json").write_text("[]")
    write_pointer(tmp_path / "role", hub(str(tmp_path / "weights"), None, "vae"))
    assert roles.fingerprint(tmp_path / "role") != before


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_fingerprints_follow_content_and_revision_but_not_the_place(cache, tmp_path):
    publish(cache, FILES)
    publish(cache, FILES, revision=REVISION[::-1])
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        write(tmp_path / name, {"config.json": content})
    pointers = {"p": hub(), "q": hub(), "r": hub(revision=REVISION[::-1]), "s": hub(subfolder="vae")}
    for name, ref in pointers.items():
        write_pointer(tmp_path / name, ref)
    a, b, c, p, q, r, s = (roles.fingerprint(tmp_path / name) for name in "abcpqrs")
    assert a == b
    assert p == q
    assert len({a, c, p, r, s}) == 5
    assert all(len(f) == 16 for f in (a, p))


def test_a_role_that_is_missing_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for ask in (roles.resolve, roles.fingerprint):
        with pytest.raises(DifflabError, match=r"models/zoo/vae is missing: run `dvc repro zoo_vae`"):
            ask("models/zoo/vae")


def test_offline_without_the_files_is_one_line(cache, tmp_path):
    with pytest.raises(DifflabError, match=r"maker/model@0123456789ab is not in the .* without HF_HUB_OFFLINE"):
        write_pointer(tmp_path / "vae", hub())
    snapshot = publish(cache, FILES)
    write_pointer(tmp_path / "vae", hub(subfolder="vae"))
    (snapshot / "vae" / "weights.safetensors").unlink()
    with pytest.raises(DifflabError, match=r"1 of 2 files are not on this machine, first vae/weights\.saf"):
        roles.resolve(tmp_path / "vae")


def test_patterns_that_match_nothing_are_an_error(cache, tmp_path):
    publish(cache, FILES)
    with pytest.raises(DifflabError, match=r"maker/model has no file like \['transformer/\*'\]"):
        write_pointer(tmp_path / "transformer", hub(subfolder="transformer"))
    assert not (tmp_path / "transformer").exists()


def hub_errors():
    import httpx2 as httpx  # what huggingface_hub talks with
    from huggingface_hub import errors

    response = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))
    return {
        "licence": errors.GatedRepoError("hf_verysecret", response=response),
        "revision": errors.RevisionNotFoundError("x", response=response),
        "repository": errors.RepositoryNotFoundError("x", response=response),
        "network": httpx.ConnectError("no route"),
        "name": errors.HFValidationError("x"),
        "disk": OSError(28, "No space left on device"),
    }


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("licence", "licence to be accepted (no token is set): accept it at https://huggingface.co/maker/model,"),
        ("revision", "maker/model has no revision 0123456789"),
        ("repository", "maker/model does not exist or HF_TOKEN does not open it"),
        ("network", "the Hub cannot be reached for maker/model@0123456789ab (ConnectError)"),
        ("name", "'maker/model' is neither a repository on the Hub nor a folder here"),
        ("disk", "the disk is full at maker/model@0123456789ab"),
    ],
)
def test_whatever_the_hub_answers_is_one_line_with_a_remedy(cache, tmp_path, monkeypatch, problem, message):
    def fail(*_, **__):
        raise hub_errors()[problem]

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", fail)
    with pytest.raises(DifflabError) as caught:
        write_pointer(tmp_path / "vae", hub())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "verysecret" not in str(caught.value)


MIRROR = {"repo_id": "others/copy", "revision": REVISION[::-1], "reason": "its maker withdrew it"}


def mirrored(**changes):
    return HubRef(**{**hub(subfolder="vae", **changes).model_dump(), "fallback": MIRROR})


@pytest.mark.parametrize("online", [True, False])
def test_a_repository_that_vanished_gives_way_to_its_mirror(cache, tmp_path, monkeypatch, capsys, online):
    def model_info(self, repo_id, revision, files_metadata):
        if repo_id == "maker/model":
            raise hub_errors()["repository"]
        assert (repo_id, revision) == (MIRROR["repo_id"], MIRROR["revision"])
        large = SimpleNamespace(sha256=hashlib.sha256(b"vae").hexdigest())
        names = {"vae/config.json": None, "vae/weights.safetensors": large}
        return SimpleNamespace(sha=revision, siblings=[SimpleNamespace(rfilename=n, lfs=f) for n, f in names.items()])

    snapshot = publish(cache, FILES, MIRROR["repo_id"], MIRROR["revision"])
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    monkeypatch.setenv("HF_HUB_OFFLINE", str(int(not online)))
    taken = write_pointer(tmp_path / "vae", mirrored())
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("maker/model")
    assert line.endswith("(its maker withdrew it): taking its mirror others/copy")
    assert taken.repo_id == "others/copy"
    assert json.loads((tmp_path / "vae/source.json").read_text()) == {
        "repo_id": "others/copy",
        "revision": MIRROR["revision"],
        "subfolder": "vae",
        "allow_patterns": None,
        "mirror_of": {"repo_id": "maker/model", "revision": REVISION, "reason": "its maker withdrew it"},
        "files": {"vae/config.json": None, "vae/weights.safetensors": hashlib.sha256(b"vae").hexdigest()},
    }
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert roles.resolve(tmp_path / "vae") == snapshot / "vae"


@pytest.mark.parametrize("problem", ["licence", "revision", "network", "disk"])
def test_a_mirror_is_no_way_round_other_answers(cache, tmp_path, monkeypatch, problem):
    def fail(*_, **__):
        raise hub_errors()[problem]

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", fail)
    with pytest.raises(DifflabError, match="maker/model"):
        write_pointer(tmp_path / "vae", mirrored())


def test_a_repository_that_is_there_is_taken_whatever_its_mirror(cache, tmp_path, monkeypatch):
    """When it vanishes before its files were fetched, the line says how to take the mirror."""
    snapshot = publish(cache, FILES)
    assert write_pointer(tmp_path / "vae", mirrored()).repo_id == "maker/model"
    write_pointer(tmp_path / "other", hub(subfolder="vae"))
    assert roles.fingerprint(tmp_path / "vae") == roles.fingerprint(tmp_path / "other")
    (snapshot / "vae" / "weights.safetensors").unlink()

    def fail(*_, **__):
        raise hub_errors()["repository"]

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    download = lambda *args, local_files_only, **options: str(snapshot) if local_files_only else fail()  # noqa: E731
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(DifflabError, match="`dvc repro -f zoo_vae` takes others/copy"):
        roles.resolve(tmp_path / "vae")


def test_a_stage_points_to_a_released_model_in_place_of_training_one(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish(cache, FILES)
    folder, stage = Path("models/zoo/vae"), RunningStage(tmp_path)
    write(folder, {"weights.safetensors": b"of an earlier training"})
    assert not point_to(stage, None, folder)
    assert not Path("metrics").exists()
    assert not stage.said
    assert point_to(stage, hub(subfolder="vae"), folder)
    assert [p.name for p in folder.iterdir()] == ["source.json"]
    assert json.loads(Path("metrics/zoo_vae.json").read_text()) == {"trained": 0}
    assert stage.said == "wrote models/zoo/vae, a pointer to maker/model"
