"""metrics/summary.json: which numbers it has, and how they are named."""

import math

import pytest

from difflab.core.base.files import write_json
from difflab.report.summary import PREFIXES, TEXTS, metrics_file, part, prefixed, summarise
from fakes.study_results import write_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}
DENSITY = {"convention": "diffusers", "shift": 3.0}
STUDIES = (
    "images", "models", "sd3", "blocks", "attention", "denoising", "ddpm", "process", "memorisation", "cold", "captioning",
    "personal",
)  # fmt: skip


@pytest.fixture
def root(tmp_path):
    write_inputs(tmp_path)
    return tmp_path


OTHER = {f"sd3_finetune_{captions}_{adapter}" for captions in ("both", "own") for adapter in MEANS}  # of other designs


def test_the_summary_is_flat_finite_and_holds_every_stage(root):
    summary = summarise(MEANS, DENSITY, False, root)
    assert all(math.isfinite(value) for key, value in summary.items() if not key.endswith(TEXTS))
    assert all(isinstance(value, str) for key, value in summary.items() if key.endswith(TEXTS))
    assert {name for name in PREFIXES.values() if not part(summary, name)} == OTHER
    assert {key.split("_")[0] for key in summary} == set(STUDIES)
    assert summary["sd3_minus_blip2_fid"] == 8.5
    assert summary["sd3_captions_llama3_digit_accuracy"] == 0.97
    assert summary["sd3_finetune_blip2_minus_val_loss"] == 0.6
    assert summary["denoising_v1_clipped_psnr"] == 25.6


def test_the_summary_names_the_headlines_of_the_sd3_study(root):
    summary = summarise(MEANS, DENSITY, True, root)
    assert summary["sd3_comparable_with_published"] == 1
    assert summary["sd3_minus_logit_mean_on_sigma"] == 0.5
    assert summary["sd3_best_fid"] == 7.5
    assert summary["sd3_largest_fid_ratio_to_pretrained"] == pytest.approx(9.5 / 61.5)
    assert summary["sd3_lowest_fine_tuned_digit_accuracy"] == pytest.approx(0.955)


def test_what_is_not_a_number_stays_out():
    assert prefixed("zoo_vae", {"psnr": 19.4, "note": "text", "trained": True}) == {"models_vae_psnr": 19.4}


def test_adapters_of_another_design_are_of_another_study(tmp_path):
    """Their metrics are in Git and stay when the parameters change."""
    for captions, loss in (("blip2", 0.5), ("both", 0.4)):
        write_json(tmp_path / metrics_file(f"finetune@{captions}-minus"), {"val_loss": loss})
    for captions, other in (("blip2", "both"), ("both", "blip2")):
        summary = summarise(MEANS, DENSITY, False, tmp_path, trained_on=[captions, captions])
        assert f"sd3_finetune_{captions}_minus_val_loss" in summary
        assert not part(summary, f"sd3_finetune_{other}")


def test_a_stage_that_has_not_run_is_left_out(tmp_path):
    write_json(tmp_path / metrics_file("cold@blur"), {"restored_psnr": 25.0})
    summary = summarise(MEANS, DENSITY, False, tmp_path)
    assert summary["cold_blur_restored_psnr"] == 25.0
    assert not part(summary, "ddpm")
    assert "sd3_best_fid" not in summary


def test_every_stage_of_the_summary_is_a_stage_of_the_pipeline(root):
    from difflab.core.params.loading import addresses

    assert {stage for stage in PREFIXES if PREFIXES[stage] not in OTHER} <= set(addresses())
