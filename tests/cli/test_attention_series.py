"""`difflab attention` of a prompted network of the DDPM series."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from difflab.attention.capture import Attended, Layer
from difflab.attention.records import Records
from difflab.cli.attention import Request, attention
from difflab.cli.attention_series import word_maps
from difflab.core.base.errors import DifflabError
from difflab.core.params import load_params
from difflab.ddpm.common.networks import save_denoiser
from difflab.ddpm.process.inspection import recorded
from difflab.ddpm.sampling.series_sampler import load_sampler
from fakes import tiny

PROMPT, STEPS = "the digit 3", 4


@pytest.fixture
def show(tmp_path, monkeypatch, root):
    """A function that runs the command for a tiny network in models/ddpm."""
    params = load_params(root / "params.yaml")
    monkeypatch.chdir(tmp_path)
    for setting, kind in (("text", "prompted"), ("single_class", "plain")):
        folder = tmp_path / f"models/ddpm/{setting}"
        folder.mkdir(parents=True)
        shape = [1, tiny.SIZE, tiny.SIZE]
        save_denoiser(folder / "seed-0", tiny.denoiser(kind), tiny.schedule_params(), shape=shape, classes=[])

    def run(*prompts, model="models/ddpm/text/seed-0", keep=False, **options):
        asked = {"num_inference_steps": STEPS, **options}
        attention(Request(prompts or (PROMPT,), (model,), **asked), tmp_path / "out", params, keep)
        return load_file("out/attention.safetensors")

    return run


def test_a_word_s_map_is_what_places_read_from_it_as_the_stage_that_draws_them_finds(show, root):
    found = show(guidance_scale=2.0, seed=5)
    sampler = load_sampler(Path("models/ddpm/text/seed-0"), torch.device("cpu"))
    settings = load_params(root / "params.yaml").ddpm_sample["text"]
    settings = settings.model_copy(update={"num_inference_steps": STEPS, "guidance_scale": 2.0})
    with recorded(sampler.denoiser.network.unet) as maps:
        (picture,) = sampler.images(["prompt-00000"], [PROMPT], settings, seed=5, batch_size=1)
    assert np.array_equal(found["0/picture"].numpy(), picture)
    finest = found["0/the/heat"].shape[-1]
    for n, word in enumerate(PROMPT.split()):
        layers = []
        for kept in (one[-1, :, n] for calls in maps.values() for one in calls):  # after the empty prompt, which guides
            side = round(len(kept) ** 0.5)
            layers.append(
                kept.reshape(side, side).repeat_interleave(finest // side, 0).repeat_interleave(finest // side, 1)
            )
        torch.testing.assert_close(found[f"0/{word}/heat"], torch.stack(layers).mean(0), atol=1e-3, rtol=0)


def test_maps_of_all_tokens_sum_to_one_on_the_finest_grid():
    made = Records([Layer("a.attn2", 0, "prompt"), Layer("a.attn1", 0, "picture"), Layer("b.attn2", 1, "prompt")])
    for layer, places in zip(made.layers, (4, 4, 16), strict=True):
        tokens = 3 if layer.kind == "prompt" else places
        shapes = [(1, 2, places, 4), (1, 2, tokens, 4), (1, 2, tokens, 4), (1, 2, places, 4)]
        generator = torch.Generator().manual_seed(places)
        made.add(0, layer.name, Attended(*(torch.randn(shape, generator=generator) for shape in shapes)))
    maps = word_maps(made)
    assert maps.shape == (3, 4, 4)
    torch.testing.assert_close(maps.sum(0), torch.ones(4, 4))


def test_blocks_steps_and_words_are_chosen(show):
    found = show("a three", "the digit 7", words=("7",), prompt=1, blocks=(0,), steps=(1,))
    assert sorted(found) == ["0/picture", "1/7/heat", "1/picture"]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"words": ("four",)}, "'four' is not in the prompt as the model reads it: its tokens are 'the', 'digit', '3'"),
        ({"patches": ((0, 0),)}, "--patch is for the transformer"),
        ({"clusters": 4}, "--clusters is for the transformer"),
        ({"affinity": "key"}, "--affinity key is for the transformer"),
        ({"across": True}, "--across is for the transformer"),
        ({"keep": True}, "--keep is for the transformer"),
        ({"blocks": (9,)}, "block 9 does not exist"),
        ({"steps": (9,)}, "step 9 does not exist: this sampling has steps 0 to 3"),
        ({"num_inference_steps": 0}, "0 steps at guidance"),
        ({"model": "models/ddpm/single_class/seed-0"}, "reads no prompts, so no word acts in it"),
    ],
)
def test_what_cannot_be_is_one_line(show, tmp_path, asked, line):
    with pytest.raises(DifflabError, match=line):
        show(**asked)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(("prompt", "line"), [(" ", "a prompt is empty"), ("a bird", "unknown word 'bird'")])
def test_a_prompt_that_it_does_not_read_is_refused(show, prompt, line):
    with pytest.raises(DifflabError, match=line):
        show(prompt)
