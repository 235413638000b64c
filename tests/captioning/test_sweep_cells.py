"""Sweeps: every combination once, one load per model, refusals with their reason, the same noise everywhere."""

import numpy as np
import pytest

from difflab.captioning import sweep_cells
from difflab.captioning.params import SweepParams
from difflab.captioning.sweep_cells import Cell, CellImages, Samplers
from difflab.models.pipelines.prompted import Options, PromptedSampler
from fakes import tiny_pipelines
from fakes.tiny_pipelines import axes

IDS, PROMPTS = ["prompt-00000", "prompt-00001"], ["three over a cat", "a rocket"]


def settings(**presets) -> SweepParams:
    return SweepParams(
        num_images=2, batch_size=2, vae="whole", offload=False, shown=2, negative="blurred", clip=None,
        presets=presets or {"one": axes()},
    )  # fmt: skip


def test_a_preset_is_every_combination_of_its_lists():
    cells = sweep_cells.cells(
        settings(grid=axes(schedulers=["ddim", "euler"], guidance_scales=[1, 3], negative=[False, True]))
    )
    assert len(cells) == 8
    assert cells[0] == Cell("zoo", Options("ddim", 5, 1.0, ""))
    assert {c.options.negative_prompt for c in cells} == {"", "blurred"}


def test_a_cell_of_several_presets_is_made_once_and_models_stay_together():
    found = sweep_cells.cells(
        settings(
            steps=axes(num_inference_steps=[5, 10], models=["zoo", "sd-turbo"]),
            guidance=axes(guidance_scales=[3, 5], models=["sd-turbo", "zoo"]),
        )
    )
    assert len(found) == len(set(found)) == 6
    assert [c.model for c in found] == ["zoo"] * 3 + ["sd-turbo"] * 3


def test_names_tell_cells_apart():
    cells = sweep_cells.cells(
        settings(grid=axes(guidance_scales=[1, 7.5], num_inference_steps=[5, 10], negative=[False, True]))
    )
    assert len({c.name for c in cells}) == len({c.key for c in cells}) == 8
    assert cells[-1].name == "zoo, ddim, 10 steps, guidance 7.5, negative prompt"
    assert cells[-1].key == "zoo_ddim_s10_g7.5_negative"
    assert Cell("zoo", Options("dpm++", 10, 3.0)).key == "zoo_dpmpp_s10_g3"


def test_a_model_is_loaded_once_and_only_one_is_held():
    loaded = []
    samplers = Samplers(lambda name: loaded.append(name) or object())
    first = samplers("zoo")
    assert samplers("zoo") is first
    samplers("flow")
    assert loaded == ["zoo", "flow"]
    assert list(samplers._held) == ["flow"]


@pytest.fixture(scope="module")
def sampler():
    return PromptedSampler(tiny_pipelines.pipeline("sd"), distilled=False, seed=0, batch_size=2)


def test_a_refused_cell_says_why_and_makes_nothing(sampler):
    made = sweep_cells.make(sampler, Options("flow-match", 5, 3.0), IDS, PROMPTS)
    assert made.refused.startswith("flow-match: the model was not trained on straight paths")
    assert made.images.shape == (0, 0, 0, 3)


def test_cells_share_their_noise(sampler):
    """The same options give the same images whatever was made before; one Euler step of any guidance starts alike."""
    first = sweep_cells.make(sampler, Options("ddim", 4, 3.0), IDS, PROMPTS)
    sweep_cells.make(sampler, Options("ddpm", 3, 5.0, "blurred"), IDS[::-1], PROMPTS)
    again = sweep_cells.make(sampler, Options("ddim", 4, 3.0), IDS, PROMPTS)
    assert np.array_equal(first.images, again.images)
    assert first.seconds > 0
    swapped = sweep_cells.make(sampler, Options("ddim", 4, 3.0), IDS, PROMPTS[::-1])
    assert not np.array_equal(swapped.images, first.images)


def test_a_cell_is_kept_whole(tmp_path, sampler):
    nothing = CellImages(np.zeros((0, 0, 0, 3), np.uint8), "no")
    for n, made in enumerate((sweep_cells.make(sampler, Options("ddim", 2, 3.0), IDS, PROMPTS), nothing)):
        path = tmp_path / f"{n}.npz"
        sweep_cells.save_images(path, made)
        kept = sweep_cells.load_images(path)
        assert np.array_equal(kept.images, made.images)
        assert kept.refused == made.refused


def test_rows_and_pictures_of_the_table(sampler):
    cell, refused = sweep_cells.cells(settings(grid=axes(schedulers=["ddim", "flow-match"])))
    row = sweep_cells.row(cell, "", {"digit_accuracy": 0.5})
    assert row == {
        "model": "zoo", "scheduler": "ddim", "steps": 5, "guidance": 3.0, "negative": False, "digit_accuracy": 0.5,
        "refused": "",
    }  # fmt: skip
    images = np.zeros((2, 4, 4, 3), np.uint8)
    rows = sweep_cells.sheet_rows([(cell, images), (refused, images[:0])], 1)
    assert [(name, len(shown)) for name, shown in rows] == [(cell.name, 1)]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"models": ["sd-9"]}, "presets.grid has the unknown model 'sd-9': one of zoo, stable-diffusion-2-1"),
        ({"guidance_scales": [3.0, 3.0]}, "is listed twice"),
        ({"schedulers": []}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        settings(grid=axes(**wrong))


def test_a_negative_prompt_that_is_asked_for_has_to_be_there():
    with pytest.raises(ValueError, match="asks for a negative prompt, but negative is empty"):
        SweepParams(**{**settings(grid=axes(negative=[True])).model_dump(), "negative": ""})
