"""The headline numbers and their intervals."""

import pytest

from difflab.cli.headlines import Headline, headline_names, interval, ruler
from difflab.core.params.loading import addresses

CELL = Headline("sd3", "minus_blip2", "fid")


@pytest.mark.parametrize(
    ("name", "study", "cell", "measure"),
    [
        ("sd3_minus_blip2_fid", "sd3", "minus_blip2", "fid"),
        ("sd3_blip2_minus_zero_fid_difference", "sd3", "blip2_minus_zero", "fid_difference"),
        ("denoising_v2_imputed_clipped_psnr", "denoising", "v2_imputed_clipped", "psnr"),
        ("ddpm_single_image_32_mean_psnr", "ddpm", "single_image_32", "mean_psnr"),
        ("cold_blur_walked_back_psnr", "cold", "blur", "walked_back_psnr"),
        ("captioning_mixed_cider_d_difference", "captioning", "mixed", "cider_d_difference"),
        ("attention_digit_minus_pointing_accuracy", "attention", "digit_minus", "pointing_accuracy"),
        ("attention_nose_mouth_pretrained_ari", "attention", "nose_mouth_pretrained", "ari"),
        ("blocks_tuned_bypass_top_minus_random_gain", "blocks_tuned", "bypass", "top_minus_random_gain"),
        ("personal_base_subject_accuracy", "personal", "base", "subject_accuracy"),
        ("personal_textual_inversion_none_class_correct", "personal", "textual_inversion_none", "class_correct"),
        ("personal_lora_text_images_drift_kid", "personal", "lora_text_images", "drift_kid"),
        ("personal_images_none_drift_difference", "personal", "images_none", "drift_difference"),
    ],
)
def test_a_name_has_a_study_a_cell_and_a_measure(name, study, cell, measure):
    (found,) = headline_names([name])
    assert (found.study, found.cell, found.measure, found.name) == (study, cell, measure, name)


@pytest.mark.parametrize(
    "name",
    [
        "sd3_minus_blip2_fid_low",
        "sd3_floor_fid",
        "ddpm_text_floor_fid",
        "ddpm_text_real_accuracy",
        "denoising_tv_clipped_psnr",
        "attention_digit_chance_pointing_accuracy",
        "attention_digit_minus_block_2_ari",
        "blocks_mean_0_loss",
        "personal_pictures_3_subject_accuracy",
        "personal_base_drift_kid",
    ],
)
def test_what_stands_beside_them_is_no_headline(name):
    assert list(headline_names([name])) == []


def test_the_interval_is_that_of_the_summary():
    assert interval({"sd3_minus_blip2_fid_low": 6.0, "sd3_minus_blip2_fid_high": 7.0}, CELL) == (6.0, 7.0)
    assert interval({}, CELL) is None


def test_the_interval_over_images_of_one_training_is_none_of_training():
    ends = {"cold_blur_restored_psnr_low": 20.0, "cold_blur_restored_psnr_high": 21.0}
    assert interval(ends | {"cold_blur_trainings": 1}, Headline("cold", "blur", "restored_psnr")) is None


def test_the_ruler_is_that_of_the_study_or_of_the_data_set():
    summary = {"sd3_ruler": "a", "ddpm_mnist_ruler": "b"}
    assert ruler(summary, CELL) == "a"
    assert ruler(summary, Headline("ddpm", "text", "fid")) == "b"
    assert ruler(summary, Headline("ddpm", "latent", "fid")) is None
    assert ruler(summary | {"ddpm_ruler": "c"}, Headline("ddpm", "single_image_32", "mean_psnr")) is None


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("attention_digit_minus_ari", "attention_maps"),
        ("blocks_tuned_text_top_minus_random_gain", "tune_blocks"),
        ("personal_base_class_correct", "personal"),
        ("cold_blur_restored_psnr", "cold@blur"),
    ],
)
def test_a_number_is_of_a_stage_of_the_pipeline(root, name, stage):
    (found,) = headline_names([name])
    assert found.stage == stage
    assert stage in addresses(str(root / "dvc.yaml"))


def test_the_base_is_given():
    assert Headline("sd3", "pretrained_blip2", "fid").given
    assert Headline("attention", "digit_pretrained", "ari").given
    assert Headline("personal", "base", "class_correct").given
    assert not CELL.given
