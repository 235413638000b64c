"""A captioner's folder: what was trained and nothing else, read back exactly, and only on the bases it belongs to."""

import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from difflab.captioning.captioner_model.captioner_folder import (
    bases_of,
    identity_of,
    load_captioner,
    new_captioner,
    save_captioner,
)
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file, write_json
from fakes import tiny_captioner as tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny.save_roles(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def saved(models, tmp_path_factory):
    """The folder of a captioner, and the captioner."""
    captioner = new_captioner(tiny.params(), 0, "cpu", torch.float32, models)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in captioner.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    folder = tmp_path_factory.mktemp("models") / "original-0"
    save_captioner(folder, captioner, tiny.params(), bases_of(models))
    return folder, captioner.eval()


def test_a_captioner_reads_back_exactly(saved, models):
    folder, captioner = saved
    again, settings = load_captioner(folder, "cpu", torch.float32, models)
    assert settings.model_dump() == tiny.params().model_dump(exclude={"seeds", "subset_seeds", "originals"})
    pictures = tiny.images(6)
    losses = [c.token_losses(c.encode(pictures), ["Three"] * 6) for c in (captioner, again)]
    assert torch.equal(*losses)
    assert again.captions_of(pictures, tiny.decoding()) == captioner.captions_of(pictures, tiny.decoding())
    assert not again.training


def test_the_folder_holds_adapter_projector_and_configuration_only(saved, models):
    folder, _ = saved
    names = ["adapter_config.json", "adapter_model.safetensors", "captioner.json", "projector.safetensors"]
    assert sorted(f.name for f in folder.iterdir()) == names
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        assert all(".lora_A." in name or ".lora_B." in name for name in file.keys())  # noqa: SIM118
    with safe_open(folder / "projector.safetensors", framework="pt") as file:
        assert sorted(file.keys()) == ["1.bias", "1.weight", "3.bias", "3.weight"]
    assert str(models) not in "".join(f.read_text() for f in folder.glob("*.json"))


def test_the_files_are_the_same_every_time(saved, models, tmp_path):
    folder, captioner = saved
    save_captioner(tmp_path / "again", captioner, tiny.params(), read_json(folder / "captioner.json")["bases"])
    assert sha256_file(tmp_path / "again") == sha256_file(folder)


def test_peft_reads_the_adapter(saved):
    """The adapted language model by PEFT's own reader."""
    from peft import PeftModel

    folder, captioner = saved
    other = PeftModel.from_pretrained(tiny.language_model(), folder).eval()
    tokens = torch.tensor([[0, 5, 9, 300]])
    expected = captioner.language_model(input_ids=tokens).logits
    torch.testing.assert_close(other(input_ids=tokens).logits, expected)
    assert not torch.allclose(tiny.language_model()(input_ids=tokens).logits, expected)


@pytest.mark.parametrize(("role", "part"), [("vision_encoder", "encoder"), ("language", "language model")])
def test_another_base_is_refused_in_one_line_that_names_both(saved, models, tmp_path, role, part):
    folder, _ = saved
    tiny.save_roles(tmp_path / "other", seed=1)
    mixed = tmp_path / "zoo"
    shutil.copytree(models, mixed)
    shutil.rmtree(mixed / role)
    shutil.copytree(tmp_path / "other" / role, mixed / role)
    key = part.replace(" ", "_")
    here = identity_of(mixed / role)["fingerprint"]
    trained_on = read_json(folder / "captioner.json")["bases"][key]["fingerprint"]
    expected = (
        rf"original-0 was trained on the {part} {role} \({trained_on}\), but \S+/{role} is {role} "
        rf"\({here}\): run `dvc repro captioner` again"
    )
    with pytest.raises(DifflabError, match=expected):
        load_captioner(folder, "cpu", torch.float32, mixed)


def test_a_released_base_is_known_by_repository_and_revision(saved, models, tmp_path):
    """Also in PEFT's configuration."""
    folder, captioner = saved
    identity = read_json(folder / "captioner.json")["bases"]
    identity["language_model"] |= {"repo_id": "meta-llama/Llama-3.2-1B", "revision": "4e20de362430cd3b72f3"}
    save_captioner(tmp_path / "model", captioner, tiny.params(), identity)
    config = read_json(tmp_path / "model" / "adapter_config.json")
    assert config["base_model_name_or_path"] == "meta-llama/Llama-3.2-1B"
    assert config["revision"] == "4e20de362430cd3b72f3"
    with pytest.raises(DifflabError, match=r"language model meta-llama/Llama-3\.2-1B@4e20de362430 \("):
        load_captioner(tmp_path / "model", "cpu", torch.float32, models)


def test_a_pointer_to_a_folder_on_this_machine_is_followed(models, tmp_path):
    shutil.copytree(models / "language", tmp_path / "llama")
    shutil.copytree(models / "vision_encoder", tmp_path / "zoo" / "vision_encoder")
    files = dict.fromkeys(f.name for f in (tmp_path / "llama").iterdir())
    pointer = {"repo_id": str(tmp_path / "llama"), "revision": None, "subfolder": None, "allow_patterns": None}
    write_json(tmp_path / "zoo" / "language" / "source.json", pointer | {"files": files})
    assert bases_of(tmp_path / "zoo")["language_model"]["repo_id"] == str(tmp_path / "llama")
    expected = tiny.language_model().model.embed_tokens.weight
    made = new_captioner(tiny.params(), 0, "cpu", torch.float32, tmp_path / "zoo")
    assert torch.equal(made.language_model.model.embed_tokens.weight, expected)


@pytest.mark.parametrize("role", ["vision_encoder", "language"])
def test_an_absent_base_names_the_stage_that_makes_it(saved, models, tmp_path, role):
    shutil.copytree(models, tmp_path / "zoo")
    shutil.rmtree(tmp_path / "zoo" / role)
    with pytest.raises(DifflabError, match=rf"{role} is missing: run `dvc repro zoo_{role}`"):
        load_captioner(saved[0], "cpu", torch.float32, tmp_path / "zoo")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "projector.safetensors"])
def test_weights_beside_those_of_another_run_are_refused(saved, models, tmp_path, name):
    folder, _ = saved
    other = {key: value + 1 for key, value in load_file(folder / name).items()}
    shutil.copytree(folder, tmp_path / "model")
    save_file(other, tmp_path / "model" / name)
    with pytest.raises(DifflabError, match=rf"model is damaged \({name} is not the file that was saved with"):
        load_captioner(tmp_path / "model", "cpu", torch.float32, models)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captioner.json", b"{}", r"model is damaged \(captioner.json: KeyError"),
        ("captioner.json", b"[]", r"model is damaged \(captioner.json: TypeError"),
        ("captioner.json", b'{"settings": {}, "bases": {}}', r"model is damaged \(captioner.json: ValidationError"),
        ("captioner.json", b"\xff", r"^unreadable: \S*model/captioner.json \("),
        ("captioner.json", b'{"set', r"^unreadable: \S*model/captioner.json \("),
        ("projector.safetensors", None, r"model is damaged \(projector.safetensors is missing"),
        ("adapter_model.safetensors", b"", r"model is damaged \(adapter_model.safetensors is not the file"),
    ],
)
def test_a_damaged_folder_is_one_line_with_its_remedy(saved, models, tmp_path, name, content, message):
    folder = shutil.copytree(saved[0], tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DifflabError, match=rf"{message}.*`dvc checkout") as error:
        load_captioner(folder, "cpu", torch.float32, models)
    assert "\n" not in str(error.value)


def test_the_seeds_beside_it_are_no_part_of_a_captioner(saved, models, tmp_path):
    folder, captioner = saved
    save_captioner(tmp_path / "other", captioner, tiny.params(seeds=[0, 7], subset_seeds=[3]), bases_of(models))
    assert sha256_file(tmp_path / "other") == sha256_file(folder)


def test_a_folder_without_a_captioner_is_one_line(models, tmp_path):
    with pytest.raises(DifflabError, match="holds no captioner: run `dvc repro captioner`"):
        load_captioner(tmp_path, "cpu", torch.float32, models)


def test_weights_are_read_in_the_precision_asked_for(models):
    made = new_captioner(tiny.params(), 0, "cpu", torch.bfloat16, models)
    assert made.encoder.dtype == made.language_model.dtype == torch.bfloat16
    assert made.token_losses(made.encode(tiny.images(2)), ["Three", "Coffee"]).isfinite().all()
