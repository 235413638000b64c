"""A role is a local folder or a pointer to the Hub; consumers load either without knowing which."""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from difflab.cli.compose import compose, validate
from difflab.core.base import roles
from difflab.core.base.errors import DifflabError
from difflab.core.params.common import HubRef
from difflab.models.pointers import point_to, write_pointer
from fakes import zoo
from fakes.running_stage import RunningStage

REVISION = "0123456789abcdef0123456789abcdef01234567"


def hub(repo_id="maker/model", revision=REVISION, subfolder=None, allow_patterns=None):
    return HubRef(repo_id=repo_id, revision=revision, subfolder=subfolder, allow_patterns=allow_patterns)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, offline."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder


def publish(cache, files, repo_id="maker/model", revision=REVISION):
    """Lay files ({name: bytes}) into the cache as a download does: blobs named by hash, links, a ref."""
    repository = cache / f"models--{repo_id.replace('/', '--')}"
    for name, content in files.items():
        large = name.endswith(".safetensors")
        blob = repository / "blobs" / (hashlib.sha256 if large else hashlib.sha1)(content).hexdigest()
        link = repository / "snapshots" / revision / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.symlink_to(blob)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    return repository / "snapshots" / revision


def contents(folder, prefix=""):
    return {f"{prefix}{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}


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


@pytest.fixture(scope="module")
def smoke(root):
    return validate(compose(["profile=smoke"], root / "conf"), "test")


class TestEveryRoleLoadsThroughAPointer:
    """The loaders of the pipeline, on models of the real classes laid out as their repositories are."""

    @pytest.fixture
    def pointed(self, cache, tmp_path):
        """Publish a folder (under a prefix) and return what a pointer to it resolves to."""

        def pointed(folder, prefix="", subfolder=None, allow_patterns=None):
            repo_id = f"maker/{folder.name}"
            files = {**contents(folder, prefix), "README.md": b"#", "other/model.bin": b"pickle"}
            publish(cache, files, repo_id)
            ref = hub(repo_id, subfolder=subfolder, allow_patterns=allow_patterns)
            write_pointer(tmp_path / "models" / "zoo" / "role", ref)
            return roles.resolve(tmp_path / "models" / "zoo" / "role")

        return pointed

    def test_vae(self, smoke, tmp_path, pointed):
        from difflab.core.base.roles import load_vae
        from difflab.miniature.zoo import small_vae

        made = small_vae.build(smoke.zoo.vae, 0)
        made.save_pretrained(tmp_path / "made")
        same_weights(made, load_vae(pointed(tmp_path / "made", "vae/", subfolder="vae")))

    def test_transformer_and_scheduler(self, smoke, tmp_path, pointed):
        from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

        from difflab.core.base.roles import load_transformer
        from difflab.miniature.zoo import small_transformer
        from difflab.models.sampling.schedulers import load_scheduler

        sizes = {"latent_shape": (16, 8, 8), "joint_attention_dim": 32, "pooled_projection_dim": 24}
        made = small_transformer.build(smoke.zoo.transformer, 0, **sizes)
        made.save_pretrained(tmp_path / "made" / "transformer")
        FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(tmp_path / "made" / "scheduler")
        place = pointed(tmp_path / "made", allow_patterns=["transformer/*", "scheduler/*"])
        same_weights(made, load_transformer(place))
        assert load_scheduler(place).config.shift == 3.0

    def test_a_base_with_the_scheduler_of_another_kind_of_model_is_refused(self, tmp_path):
        from diffusers.schedulers import DDPMScheduler

        from difflab.models.sampling.schedulers import load_scheduler

        DDPMScheduler().save_pretrained(tmp_path / "scheduler")
        with pytest.raises(DifflabError, match="its scheduler is a DDPMScheduler"):
            load_scheduler(tmp_path)
        (tmp_path / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "Nothing"}')
        with pytest.raises(DifflabError, match="diffusers has no scheduler 'Nothing'"):
            load_scheduler(tmp_path)

    def test_text_encoders(self, smoke, tmp_path, pointed):

        from difflab.miniature.zoo.small_text_encoders import draw_text_models, save_text_models
        from difflab.sd3.caching.prompt_writer import TextEncoders

        save_text_models(tmp_path / "made", draw_text_models(smoke.zoo.text, 0))
        place = pointed(tmp_path / "made", allow_patterns=["text_encoder*/*", "tokenizer*/*"])
        local, remote = (TextEncoders(f, 16, "cpu", torch.float32) for f in (tmp_path / "made", place))
        for name, encoder in local.encoders.items():
            same_weights(encoder, remote.encoders[name])
        captions = ["a handwritten three over a photo of coffee", ""]
        expected, found = (t.encode(captions, 2) for t in (local, remote))
        assert all(torch.equal(expected[key], found[key]) for key in expected)

    def test_vision_encoder_and_blip2(self, smoke, tmp_path, pointed):

        from difflab.miniature.zoo import small_blip2, small_vision_encoder
        from difflab.models.blip2 import load
        from difflab.models.vision import vision_encoder

        made = small_vision_encoder.build(smoke.zoo.vision_encoder, 0)
        (tmp_path / "vision_encoder").mkdir()
        vision_encoder.save(tmp_path / "vision_encoder", made)
        loaded = vision_encoder.load(pointed(tmp_path / "vision_encoder"))
        same_weights(made, loaded)

        processor = small_blip2.build_processor(made.preprocess, smoke.zoo.blip2.num_query_tokens)
        model = small_blip2.build(made.vit, processor, smoke.zoo.blip2, 0)
        zoo.save(tmp_path / "blip2", model, processor)
        captioner = load(pointed(tmp_path / "blip2"), torch.device("cpu"), torch.float32)
        same_weights(model, captioner.model)

    def test_llama(self, smoke, tmp_path, pointed):

        from difflab.miniature.zoo import small_rewriter
        from difflab.models.language.rewriter import Rewriter

        model, tokenizer = small_rewriter.build(smoke.zoo.llama, 0)
        rewriter = Rewriter(pointed(zoo.save(tmp_path / "made", model, tokenizer)), torch.device("cpu"), torch.float32)
        same_weights(model, rewriter.model)
        chat = [{"role": "user", "content": "a cat"}]
        expected = tokenizer.apply_chat_template(chat, tokenize=False)
        assert rewriter.tokenizer.apply_chat_template(chat, tokenize=False) == expected


def same_weights(made, loaded):

    expected, found = made.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
