"""What one program writes another reads: the same update of every weight, by each program's own rule."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load, load_file

from difflab.models.adapters import fit
from difflab.models.adapters.header import Description
from difflab.models.adapters.reading import read_adapter
from difflab.models.adapters.writing import FORMATS, contents, write_adapter
from fakes import adapters, comfyui

KINDS = ("sd", "sd3")
DESCRIBED = Description(
    title="cat", base="a base", loads_from="folder", licence="MIT", resolution=16, prediction="", settings={}, scores={},
    prompts=(),
)  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def trained(kind):
    return adapters.trained(kind)


@pytest.fixture(scope="module")
def picture(trained):
    """That of PEFT itself, on the layers that it trained."""
    return adapters.picture(trained)


@pytest.fixture(scope="module")
def source(trained, tmp_path_factory):
    return adapters.saved(trained, tmp_path_factory.mktemp("source"))


@pytest.fixture
def pipeline(kind):
    return adapters.base(kind)


@pytest.fixture
def updates(source, pipeline):
    layers = fit.layers_of(pipeline)
    read = read_adapter(source).updates(layers)
    fit.check_fit(read, layers, "source")
    return read


@pytest.fixture
def written(tmp_path, updates, pipeline):
    """An adapter in a format, in a folder."""

    def write(format: str):
        write_adapter(tmp_path / format, format, updates, fit.layers_of(pipeline), DESCRIBED, {"base": "0123"})
        return tmp_path / format

    return write


def test_the_adapter_changes_the_picture(kind, picture):
    assert abs(adapters.picture(adapters.base(kind)) - picture).max() > 0.05


def test_merged_is_as_on_the_base(pipeline, updates, picture):
    fit.merge(pipeline, updates)
    assert abs(adapters.picture(pipeline) - picture).max() < 1e-5


def test_taken_off_the_base_is_as_before(kind, pipeline, updates, picture):
    before = adapters.picture(pipeline)
    fit.put_on(pipeline, updates)
    assert abs(adapters.picture(pipeline) - picture).max() < 1e-5
    fit.take_off(pipeline)
    assert (adapters.picture(pipeline) == before).all()


@pytest.mark.parametrize("format", FORMATS)
def test_read_back_it_is_the_same(pipeline, updates, written, picture, format):
    adapter = read_adapter(written(format))
    layers = fit.layers_of(pipeline)
    back = adapter.updates(layers)
    fit.check_fit(back, layers, format)
    assert back.keys() == updates.keys()
    for name, part in updates.items():
        assert torch.allclose(back[name].delta(), part.delta(), rtol=0, atol=1e-6), name
        assert back[name].rank == part.rank
    assert adapter.facts == {"base": "0123"}
    fit.put_on(pipeline, back)
    assert abs(adapters.picture(pipeline) - picture).max() < 1e-5


@pytest.mark.parametrize("format", ["diffusers", "kohya", "comfyui"])
def test_diffusers_reads_it_itself(kind, pipeline, written, picture, format):
    """Kohya's keys of a U-Net too; those of SD3 it does not know."""
    if kind == "sd3" and format != "diffusers":
        pytest.skip("diffusers reads neither kohya's keys nor .alpha tensors of Stable Diffusion 3")
    pipeline.load_lora_weights(written(format))
    assert abs(adapters.picture(pipeline) - picture).max() < 1e-5


def test_peft_reads_its_folders_itself(pipeline, written, picture):
    folder = written("peft")
    for part in (path for path in folder.iterdir() if path.is_dir()):
        setattr(pipeline, part.name, PeftModel.from_pretrained(getattr(pipeline, part.name), part))
    assert abs(adapters.picture(pipeline) - picture).max() < 1e-5


@pytest.mark.parametrize("format", ["kohya", "comfyui"])
def test_comfyui_gets_the_same_weights(kind, pipeline, updates, written, format):
    """By its rule of keys and alphas; nothing of the file is left over."""
    lora = load_file(written(format) / "cat.safetensors")
    if kind == "sd3":
        weights = comfyui.sd3_weights(pipeline.transformer)
        keys = comfyui.sd3_keys(weights)
    else:
        parts = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
        weights = {f"{c}.{n}": p.detach() for c, m in parts.items() for n, p in m.named_parameters()}
        keys = comfyui.unet_keys(pipeline)
    patched, left = comfyui.patched(weights, keys, lora)
    assert not left
    fit.merge(pipeline, updates)
    if kind == "sd3":
        expected = comfyui.sd3_weights(pipeline.transformer)
    else:
        expected = {f"{c}.{n}": p.detach() for c, m in parts.items() for n, p in m.named_parameters()}
    assert max((patched[name] - expected[name]).abs().max() for name in expected) < 1e-5


def test_without_alpha_comfyui_takes_another_scale(updates, pipeline):
    """Why the tensors are there: diffusers' file says alpha in a header that ComfyUI does not read."""
    lora = load(
        contents("diffusers", updates, fit.layers_of(pipeline), DESCRIBED, {})["pytorch_lora_weights.safetensors"]
    )
    assert not any(name.endswith(".alpha") for name in lora)
    assert all(part.scale == pytest.approx(5 / 3) for part in updates.values())


def test_every_file_says_its_rank_and_alpha(written, kind):
    told = json.loads(next(written("peft").rglob("adapter_config.json")).read_text())
    assert (told["r"], told["lora_alpha"], told["peft_type"]) == (3, 5, "LORA")
    lora = load_file(written("kohya") / "cat.safetensors")
    name = "lora_unet_joint_blocks_0_x_block_attn_qkv" if kind == "sd3" else next(iter(lora)).partition(".")[0]
    ranks = {"sd3": 3 * 3, "sd": 3}[kind]  # three projections are one matrix, with three times the rank
    assert len(lora[f"{name}.lora_down.weight"]) == ranks
    assert float(lora[f"{name}.alpha"]) == pytest.approx(ranks * 5 / 3)


LAYERS = {
    f"transformer.transformer_blocks.{b}.{n}": (out, 4)
    for b in (0, 1)
    for n, out in {
        "attn.to_q": 4, "attn.to_k": 4, "attn.to_v": 4, "attn.to_out.0": 4, "norm1_context.linear": 8 if b else 24,
        "ff.net.2": 4,
    }.items()
} | {"transformer.transformer_blocks.0.attn.to_add_out": (4, 4)}  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, unique=True),
    st.lists(st.tuples(st.integers(1, 4), st.floats(0.1, 64)), min_size=len(LAYERS), max_size=len(LAYERS)),
    st.sampled_from(FORMATS),
)
def test_any_choice_of_layers_ranks_and_alphas_survives(tmp_path_factory, chosen, sizes, format):
    updates = {}
    for name, (rank, alpha) in zip(chosen, sizes, strict=False):
        updates |= adapters.updates({name: LAYERS[name]}, rank, alpha, seed=rank)
    folder = tmp_path_factory.mktemp("any")
    for name, content in contents(format, updates, LAYERS, DESCRIBED, {}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    back = read_adapter(folder).updates(LAYERS)
    assert back.keys() == updates.keys()
    for name, part in updates.items():
        size = part.delta().abs().max()
        assert torch.allclose(back[name].delta(), part.delta(), rtol=0, atol=float(1e-5 * size)), name
