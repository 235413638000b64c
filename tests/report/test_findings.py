"""The findings say what the numbers say, and nothing without numbers."""

import pytest

from difflab.report import findings
from difflab.report.summary import part, summarise
from fakes.series_results import ddpm_score, denoise_score, memorisation
from fakes.study_results import write_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}


@pytest.fixture
def sd3(tmp_path):
    write_inputs(tmp_path)
    summary = summarise(MEANS, {"convention": "diffusers", "shift": 3.0}, False, tmp_path)
    return part(summary, "sd3")


VERDICTS = {
    "blip2_minus_zero_fid_verdict": "open",
    "blip2_minus_plus_fid_verdict": "open",
    "blip2_zero_plus_fid_verdict": "equal",
}


def test_the_best_mean_stands_with_what_is_known_of_the_others(sd3):
    found = sd3 | VERDICTS | {"margin": 0.1}
    assert findings.which_mean(found, "blip2").endswith(
        "; it is equal to m = 0.5, not clearly better than m = −0.5 (equal: within 10 %)."
    )


@pytest.mark.parametrize(("said", "told"), [("worse", "better than m = −0.5"), ("better", "worse than m = −0.5")])
def test_a_verdict_on_the_other_side_is_turned_round(sd3, said, told):
    found = sd3 | VERDICTS | {"blip2_minus_zero_fid_verdict": said}
    assert told in findings.which_mean(found, "blip2")


def test_one_training_establishes_nothing(sd3):
    alone = {name: value for name, value in sd3.items() if not name.endswith("_verdict")}
    assert "with one training of each the differences are not established" in findings.which_mean(alone, "blip2")


def test_a_setting_below_its_floor_is_named():
    sentences = findings.ddpm(ddpm_score() | {"single_class_below_floor": 1, "text_below_floor": 0})
    assert "**Nearer to the training images than real images are**: one kind of image; look for copies." in sentences


def test_a_cell_that_got_worse_is_said():
    assert "does not help everywhere" in findings.fine_tuning({"largest_fid_ratio_to_pretrained": 1.2})
    assert "at most 15 %" in findings.fine_tuning({"largest_fid_ratio_to_pretrained": 0.15})


def test_the_caption_with_the_lower_fid_is_counted_by_column(sd3):
    assert "in 3 of 3 columns" in findings.captions(sd3)
    assert "in 2 of 3 columns" in findings.captions(sd3 | {"minus_blip2_fid": 50.0})


def test_the_best_denoiser_stands_beside_the_best_classical_one():
    best, clipping = findings.denoising(denoise_score())
    assert best == (
        "**Best denoiser: network (v1)**, 25.60 ± 0.08 dB on clipped noise, against 23.40 ± 0.08 dB of the best classical "
        "method (best linear denoiser)."
    )
    assert "24.20 ± 0.08 dB on clipped noise, 25.20 ± 0.08 dB with clipped pixels imputed" in clipping


def test_samples_are_compared_with_real_images():
    image, asked = findings.ddpm(ddpm_score())
    assert "27.0 dB ± 0.1 (one image, 32 px), 27.0 dB ± 0.1 (one image, 64 px)" in image
    assert "by prompt 87.5 % ± 0.3 (real test images 91.6 %)" in asked


@pytest.mark.parametrize(("halves", "coarse"), [((4.0, 1.0, 0.1), True), ((1.0, 4.0, 0.1), False)])
def test_the_order_of_the_bands_decides_the_sentence(halves, coarse):
    found = {f"half_sigma_band_{band}": half for band, half in enumerate(halves)}
    (sentence,) = findings.process(found | {"half_sigma_band_0_expected": 9.0})
    assert sentence.startswith("**Coarse structure appears first**") == coarse


def test_memorised_shares_are_told_for_the_settings_that_were_looked_at():
    assert findings.memorisation(memorisation()) == [
        "**Share of memorised samples**: 100 % (one image, 32 px), 0 % (by class)."
    ]


@pytest.mark.parametrize("study", ["sd3", "denoising", "ddpm", "process", "memorisation", "cold"])
def test_without_numbers_nothing_is_said(study):
    assert getattr(findings, study)({}) == []


def test_what_was_not_judged_has_no_figure_and_a_reason():
    """Few images: an encoder that cannot tell the subjects apart, a base that has never met their class."""
    unjudged = {"judge_accuracy": 0.53, "base_diversity": 0.6, "lora_none_diversity": 0.5}
    first, second = findings.personal(unjudged)
    assert "**Whether the subject shows is not judged**" in first
    assert "of the subjects' own pictures the judge names 53% rightly" in first
    assert "**The drift of the class word is not judged**: the base has never met" in second
    shown = {f"{cell}_subject_accuracy": share for cell, share in (("base", 0.0), ("lora_none", 0.9))}
    judged = unjudged | shown | {"judge_accuracy": 0.95}
    told = findings.personal(judged)
    assert told[0].startswith("**Method: LoRA, no prior** shows the subject most often, in 90.0 %")
    assert told[1:] == [second]
    assert findings.personal(judged | {"base_drift_kid": 0.0})[1:] == []
    assert findings.personal({}) == []
