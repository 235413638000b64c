"""The headline numbers and their intervals."""

import pytest

from difflab.report.headlines import Headline, headline_names, interval, ruler

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


def test_the_base_is_given():
    assert Headline("sd3", "pretrained_blip2", "fid").given
    assert not CELL.given
