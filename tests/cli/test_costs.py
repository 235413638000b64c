"""What a run on released models costs: the published settings against figures that were counted apart from this code."""

import functools
import re

import pytest

from difflab.cli.compose import compose, validate
from difflab.cli.costs import costs, costs_table
from difflab.core.base.files import write_json
from difflab.core.params.loading import addresses

CARDS = ("24gb", "48gb", "80gb")


@pytest.fixture(scope="module")
def make(root):
    cells = addresses(str(root / "dvc.yaml"))
    return functools.cache(lambda *overrides: (validate(compose(overrides, root / "conf"), "test"), cells))


def by_stage(params, cells):
    return {cost.stage: cost for cost in costs(params, cells)}


@pytest.mark.parametrize(
    ("stage", "hours"),
    [
        ("finetune", 35),
        ("generate", 7.5),
        ("guidance_curve", 6.5),
        ("step_curve", 6.5),
        ("synthesize", 5.5),
        ("caption_llama3", 0.5),
    ],
)
def test_an_h100_needs_the_hours_that_were_counted_by_hand(make, stage, hours):
    assert by_stage(*make("profile=paper"))[stage].seconds / 3600 == pytest.approx(hours, rel=0.25)


def test_caches_take_the_disk_that_was_computed_by_hand(make):
    found = by_stage(*make("profile=paper"))
    assert found["cache_prompts"].disk == pytest.approx(68, rel=0.05)
    assert found["cache_latents"].disk == found["cache_latents"].scratch == pytest.approx(38, rel=0.05)
    assert found["generate"].disk == pytest.approx(43, rel=0.05)


@pytest.mark.parametrize("card", CARDS)
def test_every_stage_fits_the_card_that_its_settings_are_for(make, card):
    params, cells = make("profile=paper", f"hardware={card}")
    assert {c.stage: c.gpu for c in costs(params, cells) if c.gpu > 0.95 * params.hardware.memory_gb} == {}
    assert "does not fit" not in costs_table(params, cells)


def test_every_study_on_released_models_is_counted(make):
    """But for the small networks of the DDPM series, which are trained in every profile, and what has no model."""
    params, cells = make("profile=paper")
    small = {"ddpm", "ddpm_sample", "ddpm_score", "denoise", "denoise_score", "cold", "process", "memorisation"}
    others = {"check_params", "acquire", "acquire_images", "mix", "report", "caption_score", "generate_pretrained"}
    stages = {cell.partition("@")[0] for cell in cells}
    known = {n for n in stages if n in small | others or n.startswith(("zoo_", "prepare_"))}
    assert stages - known - set(by_stage(params, cells)) == {"captioner_zero_shot"}  # minutes


def test_the_study_of_few_images_is_what_its_trainings_pictures_and_networks_take(make):
    """Twelve subjects and seeds; ten methods with priors and one training on fewer pictures, each 800 steps."""
    params, cells = make("profile=paper")
    found = by_stage(params, cells)["personal"]
    whole = 859_520_964 * 4 / 1e9
    assert found.disk == pytest.approx(12 * 3 * whole, rel=0.01)  # full networks, by three priors
    pictures = 132 * 12 * (1 + 11 + 2) + 2 * 4 * 100 + 12 * 3 * 200
    passes = 100 * 0.803e12
    drawn = pictures * (passes * 0.55 / (495e12 * 0.45) + passes * 0.45 / (67e12 * 0.45)) / 3600
    assert drawn < found.seconds / 3600 < drawn + 12 * 11 * 800 * 0.3 / 3600
    fewer = by_stage(*make("profile=paper", "personal.methods=[lora,textual_inversion]"))["personal"]
    assert fewer.disk == 0
    assert fewer.gpu < found.gpu - 10  # the moments of a network
    base = "stabilityai/stable-diffusion-3-medium-diffusers"
    larger = by_stage(*make("profile=paper", f"personal.base.hub.repo_id={base}"))["personal"]
    assert larger.seconds > 5 * found.seconds


def test_looking_at_more_pictures_costs_more(make):
    one, ten = (by_stage(*make("profile=paper", f"attention_maps.num_images={n}"))["attention_maps"] for n in (10, 100))
    assert ten.seconds == pytest.approx(10 * one.seconds)
    assert ten.host == one.host


def test_what_does_not_fit_is_named_with_the_remedy(make):
    text = costs_table(*make("profile=paper", "hardware.memory_gb=24"))
    assert re.search(r"does not fit 24 GB: .*generate.*; -S hardware=24gb", text)


def test_more_work_costs_more_and_a_dearer_card_more_money(make):
    base, more = by_stage(*make("profile=paper")), by_stage(*make("profile=paper", "finetune.seeds=[0,1]"))
    for stage in ("finetune", "generate", "guidance_curve", "step_curve"):
        assert more[stage].seconds == pytest.approx(2 * base[stage].seconds, rel=0.05)
    one, ten = (costs_table(*make("profile=paper", f"hardware.price_per_hour={price}")) for price in (1, 10))
    money = [float(re.search(r"together +\d+ +(\d+)", text)[1]) for text in (one, ten)]
    assert money[1] == pytest.approx(10 * money[0], rel=0.05)


@pytest.mark.parametrize(
    ("less", "stage"),
    [
        ("finetune.training.gradient_checkpointing=true", "finetune"), ("finetune.base=4bit", "finetune"),
        ("generate.vae=sliced", "generate"), ("cache.latents.vae=tiled", "cache_latents"), ("sweep.offload=true", "sweep"),
        ("cache.prompts.offload=true", "cache_prompts"), ("caption.llama3.batch_size=8", "caption_llama3"),
    ],
)  # fmt: skip
def test_every_way_to_spare_memory_spares_it(make, less, stage):
    assert by_stage(*make("profile=paper", less))[stage].gpu < by_stage(*make("profile=paper"))[stage].gpu


def test_what_was_measured_stands_beside_it(make, tmp_path):
    for cell, seconds, gpu in (("blip2-zero", 3600, 20.5), ("blip2-plus", 1800, 21.0)):
        row = {"seconds": seconds, "status": "FINISHED", "host_gb": 7.0, "gpu_gb": gpu}
        write_json(tmp_path / f".scratch/times/finetune@{cell}.json", row)
    write_json(tmp_path / ".scratch/times/score.json", {"seconds": 9, "status": "FAILED"})
    text = costs_table(*make("profile=paper"), root=tmp_path)
    assert re.search(r"finetune .* 1\.50 h, GPU 21\.0 GB, host 7\.0 GB\n", text)
    assert re.search(r"score +\S+ +\S+ +\S+ +\S+ +\S+\n", text)


def test_the_miniature_has_no_table(make):
    assert costs(*make()) == []
    assert costs_table(*make()) == ""
