"""The embedding of a token goes from program to program, and what does not fit a base is one line."""

import copy

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from difflab.core.base.errors import DifflabError
from difflab.models.adapters import embeddings
from difflab.models.adapters.header import Description
from difflab.models.adapters.reading import read_adapter, read_trained
from difflab.models.adapters.writing import write_embedding
from fakes import adapters, comfyui

WIDTH, TOKEN = 16, "<sks>"
DESCRIBED = Description(
    title="dog", base="a base", loads_from="folder", licence="MIT", resolution=16, prediction="", settings={}, scores={},
    prompts=(),
)  # fmt: skip


def learned(folder, count=1, width=WIDTH):
    """learned_embeds.safetensors as the few-image study writes it: one vector without a row of its own."""
    folder.mkdir(exist_ok=True)
    vectors = torch.randn(count, width, generator=torch.Generator().manual_seed(0))
    tensors = {TOKEN: vectors if count > 1 else vectors[0]}
    save_file(tensors, folder / embeddings.FILE_NAME, metadata={"difflab.base": "0123"})
    return folder


@pytest.fixture
def pipeline():
    return adapters.base("sd")


def picture(pipeline, prompt=f"a {TOKEN} over a cat"):
    made = pipeline(prompt, num_inference_steps=2, output_type="np", generator=torch.Generator().manual_seed(0))
    return made.images[0]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("format", ["diffusers", "kohya", "comfyui"])
def test_written_and_read_back_it_is_the_same(tmp_path, format, count):
    first = read_trained(learned(tmp_path / "learned", count))
    write_embedding(tmp_path / "out", format, first, DESCRIBED)
    back = read_trained(tmp_path / "out")
    assert torch.equal(back.vectors, first.vectors)
    assert (back.token, back.facts) == (TOKEN, {"base": "0123"})
    card = (tmp_path / "out/README.md").read_text()
    assert f"The token `{TOKEN}` for **a base**" in card
    assert f"| vectors | {count} of {WIDTH} |" in card


def test_diffusers_loads_its_file_and_the_web_uis_alike(tmp_path, pipeline):
    """By its own loader, where the token of the second is given: there the file's name stands for it."""
    embedding = read_trained(learned(tmp_path / "learned"))
    write_embedding(tmp_path / "out", "diffusers", embedding, DESCRIBED)
    write_embedding(tmp_path / "dog.safetensors", "comfyui", embedding, DESCRIBED)
    with embedding.on(pipeline):
        expected = picture(pipeline)
    first, second = adapters.base("sd"), adapters.base("sd")
    for loading in (first, second):
        loading.tokenizer = copy.deepcopy(loading.tokenizer)  # the tiny pipelines share one
    first.load_textual_inversion(tmp_path / "out")
    second.load_textual_inversion(tmp_path / "dog.safetensors", token=TOKEN)
    assert (picture(first) == expected).all()
    assert (picture(second) == expected).all()


def test_taken_off_the_base_is_as_before(tmp_path, pipeline):
    before = picture(pipeline)
    tokens = len(pipeline.tokenizer)
    with read_trained(learned(tmp_path / "learned")).on(pipeline):
        assert abs(picture(pipeline) - before).max() > 1e-3
    assert len(pipeline.tokenizer) == tokens
    assert (picture(pipeline) == before).all()


@pytest.mark.parametrize("count", [1, 2])
def test_comfyui_puts_the_same_vectors_into_a_prompt(tmp_path, count):
    embedding = read_trained(learned(tmp_path / "learned", count))
    (path,) = write_embedding(tmp_path / "dog.safetensors", "comfyui", embedding, DESCRIBED)
    assert torch.equal(comfyui.embedding(load_file(path)), embedding.vectors)


def test_of_a_file_of_the_web_ui_the_name_is_the_token(tmp_path):
    save_file({"emb_params": torch.ones(2, WIDTH)}, tmp_path / "my cat.safetensors")
    assert read_trained(tmp_path / "my cat.safetensors").token == "<my cat>"


def test_the_header_names_the_base(tmp_path):
    (path,) = write_embedding(tmp_path / "a.safetensors", "kohya", read_trained(learned(tmp_path / "l")), DESCRIBED)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"difflab.base": "0123", "difflab.token": TOKEN}


def test_what_does_not_fit_is_one_line(tmp_path, pipeline):
    other = read_trained(learned(tmp_path / "other", width=24))
    with pytest.raises(
        DifflabError, match="has 24 numbers for a token, and the base 16: it was trained on another base"
    ):
        other.check_fit(pipeline)
    save_file({"a": torch.ones(WIDTH)}, tmp_path / "a.safetensors")
    with pytest.raises(DifflabError, match="the base knows 'a' already"):
        read_trained(tmp_path / "a.safetensors").check_fit(pipeline)
    save_file({TOKEN: torch.ones(WIDTH, dtype=torch.int8)}, tmp_path / "whole.safetensors")
    with pytest.raises(DifflabError, match=f"'{TOKEN}' holds int8, no fractions: it is quantised"):
        read_trained(tmp_path / "whole.safetensors")
    save_file({TOKEN: torch.ones(2, 0)}, tmp_path / "empty.safetensors")
    with pytest.raises(DifflabError, match=f"its tensor '{TOKEN}' belongs to none"):
        read_trained(tmp_path / "empty.safetensors")
    save_file({TOKEN: torch.full((WIDTH,), torch.nan)}, tmp_path / "nan.safetensors")
    with pytest.raises(DifflabError, match=f"'{TOKEN}' holds NaN"):
        read_trained(tmp_path / "nan.safetensors")
    save_file({"clip_l": torch.ones(1, WIDTH), "clip_g": torch.ones(1, WIDTH)}, tmp_path / "xl.safetensors")
    with pytest.raises(DifflabError, match="for the two text encoders of SDXL"):
        read_trained(tmp_path / "xl.safetensors")
    with pytest.raises(DifflabError, match="the base has several"):
        read_trained(learned(tmp_path / "l")).check_fit(adapters.base("sd3"))
    with pytest.raises(DifflabError, match="which PEFT has no file for"):
        write_embedding(tmp_path / "out", "peft", read_trained(tmp_path / "l"), DESCRIBED)
    with pytest.raises(DifflabError, match=f"is no LoRA adapter: it holds the token {TOKEN} of 1 vector"):
        read_adapter(tmp_path / "l")
    assert not (tmp_path / "out").exists()
