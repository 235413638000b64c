"""The tables of the studies: a row for each thing, with its published value beside."""

import pytest

from difflab.captioning import answer
from difflab.core.params import load_params
from difflab.core.params.loading import dotted
from difflab.ddpm.common.settings import SETTING_NAMES
from difflab.report import study_tables
from difflab.report.findings import METHODS
from difflab.report.study_tables import published, published_fid
from difflab.report.summary import part, summarise
from difflab.report.tables import number, value
from difflab.sd3.artifacts.cells import FINE_TUNED, mean_on_sigma, median_sigma, signed
from fakes import captioning_results
from fakes.captioning_results import images
from fakes.series_results import cold, ddpm_score, denoise_score, memorisation
from fakes.study_results import write_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}


@pytest.fixture(scope="module")
def captioning():
    scores = images(["bleu_1", "bleu_2", "rouge_l", "meteor_exact_stem", "cider_d"])
    return captioning_results.summarise(scores, resamples=200)


def sd3(root, convention: str = "diffusers") -> dict[str, float]:
    write_inputs(root)
    return part(summarise(MEANS, {"convention": convention, "shift": 3.0}, False, root), "sd3")


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each row by the row's name, the header among them."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert len({len(row) for row in cells}) == 1
    return {row[0]: row[1:] for row in cells}


def ends(found: dict[str, float], half: float, *names: str) -> dict[str, float]:
    """The numbers with the interval +- half around those of these names."""
    return found | {
        f"{name}_{end}": found[name] + sign * half for name in names for end, sign in (("low", -1), ("high", 1))
    }


def test_fid_stands_with_its_interval_beside_the_published_one(tmp_path):
    study = sd3(tmp_path)
    study |= {"pretrained_blip2_fid": 60.5, "minus_blip2_fid": 8.5}
    found = rows(study_tables.cells(ends(study, 0.7, "pretrained_blip2_fid", "minus_blip2_fid"), "model", "fid"))
    assert (found["pretrained (given)"][0], found["pretrained (given)"][2:]) == ("60.5 ± 0.7", ["80.0", "88.2"])
    assert (found["m = −0.5"][0], found["m = −0.5"][2:]) == ("8.50 ± 0.70", ["24.3", "31.1"])
    assert found["real images (floor)"] == ["2.50", "2.50", "–", "–"]


def test_a_cell_of_one_training_has_no_interval(tmp_path):
    alone = {name: value for name, value in sd3(tmp_path).items() if not name.endswith(("_low", "_high"))}
    assert rows(study_tables.cells(alone, "model", "fid"))["m = 0"][0] == number(alone["zero_blip2_fid"])


def test_precision_and_recall_have_a_column_for_each_kind_of_captions():
    study = {f"{a}_logit_mean": 0.0 for a in FINE_TUNED} | {"real_precision": 0.99, "minus_blip2_precision": 0.81}
    found = rows(study_tables.cells(study, "model", "precision", "recall"))
    assert found["model"][0] == "precision, BLIP-2 captions"
    assert found["real held-out images"][:3] == ["99.0 %", "99.0 %", "–"]


def test_each_pair_of_means_has_its_difference_and_verdict():
    study = {"minus_logit_mean": -0.5, "zero_logit_mean": 0.0, "plus_logit_mean": 0.5}
    key = "blip2_minus_zero_fid"
    study |= {f"{key}_difference": 0.1, f"{key}_difference_low": -0.42, f"{key}_difference_high": 0.62}
    found = study_tables.pairs(study | {f"{key}_verdict": "equal"}).splitlines()[2:]
    assert found == ["| BLIP-2 captions | m = −0.5 against m = 0 | +0.10 (−0.42 to +0.62) | equal |"]
    assert study_tables.pairs({}) == ""
    assert study_tables.pairs({k: v for k, v in study.items() if not k.endswith(("_low", "_high"))}) == ""


def test_on_sigma_the_published_columns_change_places(tmp_path):
    found = rows(study_tables.cells(sd3(tmp_path, "sigma"), "model", "fid"))
    assert found["m = −0.5"][2:] == ["32.0", "31.6"]
    assert found["m = 0.5"][2:] == ["24.3", "31.1"]


def test_accuracies_have_a_column_for_each_class_and_kind_of_captions(tmp_path):
    found = rows(study_tables.cells(sd3(tmp_path), "model", "digit_accuracy", "photo_accuracy"))
    assert found["model"][2] == "photograph, BLIP-2 captions"
    assert found["m = 0"][0].startswith("95.5 %")
    assert found["real held-out images"] == ["97.0 %", "97.0 %", "99.0 %", "99.0 %"]


def test_the_median_sigma_of_each_column_is_shown(tmp_path):
    found = rows(study_tables.densities(sd3(tmp_path)))
    assert found["m = −0.5"] == ["0.5", "0.832", "more noise"]
    assert found["m = 0"] == ["0", "0.750", "in between"]
    assert found["m = 0.5"] == ["−0.5", "0.645", "less noise"]


def test_denoisers_stand_from_the_noise_to_the_best():
    found = rows(study_tables.denoising(denoise_score()))
    assert found["denoiser"][:4] == [f"{m}, {n} noise" for n in ("clipped", "unclipped") for m in ("PSNR", "SSIM")]
    assert list(found)[2:] == list(METHODS.values())
    assert found["best linear denoiser"] == [
        "23.40 ± 0.08", "0.780 ± 0.004", "22.40 ± 0.08", "0.747 ± 0.004", "–", "–",
    ]  # fmt: skip
    assert found[METHODS["v1"]] == ["25.60 ± 0.08", "0.853 ± 0.004", "–", "–", "25.11", "0.840"]


def test_each_setting_says_how_good_it_is_in_its_own_measure():
    found = rows(study_tables.ddpm(ddpm_score()))
    assert list(found)[2:] == list(SETTING_NAMES.values())
    columns = dict(zip(found["setting"], found["one image, 32 px"], strict=True))
    assert (columns["PSNR to the image"], columns["FID"], columns["n"]) == ("27.0 dB ± 0.1", "–", "16")
    columns = dict(zip(found["setting"], found["by prompt"], strict=True))
    shown = columns["FID"].split(" (")[0], columns["class accuracy"], columns["n"]
    assert shown == ("31.4 ± 0.1", "87.5 % ± 0.3", "400")


def test_a_distance_stands_beside_those_of_real_images():
    real = {"text_floor_fid": 4.04, "text_held_out_fid": 33.1, "text_fid_low": 30.4, "text_fid_high": 32.4}
    study = {"text_n": 200, "text_fid": 31.4, "latent_fid": 70.0} | real
    found = rows(study_tables.ddpm(study))
    assert found["setting"] == ["FID", "n"], "a measure that no setting has takes no column"
    assert found["by prompt"][0] == "31.4 ± 1.0 (floor 4.04, held out 33.1)"
    assert found["by class, in latents"] == ["70.0", "–"]
    below = rows(study_tables.ddpm(study | {"text_below_floor": 1}))
    assert below["by prompt"][0].endswith("held out 33.1; **below its floor**)")


def test_memory_is_told_for_the_settings_that_were_looked_at():
    found = rows(study_tables.memorisation(memorisation()))
    assert list(found.items())[2:] == [("one image, 32 px", ["0.12", "100 %"]), ("by class", ["0.97", "0 %"])]


def test_both_degradations_are_told():
    scores = {f"{name}_{key}": value for name in ("blur", "mask") for key, value in cold().items()}
    found = rows(study_tables.cold(scores))
    values = ["20.10 ± 0.30", "24.30 ± 0.30", "15.20 ± 0.30", "16.70 ± 0.30"]
    assert list(found.items())[2:] == [("Blur, PSNR", values), ("Masking, PSNR", values)]


def test_every_measure_of_captions_has_ours_and_the_published_values(captioning):
    found = rows(study_tables.captioning(captioning))
    assert found["measure"][:5] == list(study_tables.DATA_NAMES.values())
    assert found["share of synthetic data"] == ["0.000", "0.750", "1.000", "–", "–", "–", "–"]
    assert found["METEOR (exact, stem)"][-2:] == ["0.10", "0.20"]
    assert found["CIDEr-D"][-2:] == ["–", "–"]
    assert found["BLEU-1"][0] == value(3)(captioning, "original_bleu_1")
    untrained = [f"{captioning[f'{data}_bleu_1_corpus']:.3f}" for data in ("zero_shot", "instruct")]
    assert found["BLEU-1 of the corpus"][3:5] == untrained  # one run each: no deviation


def test_the_differences_stand_with_interval_and_verdict(captioning):
    found = rows(study_tables.differences(captioning))
    assert found["CIDEr-D"][1:] == [
        answer.with_interval(captioning, "mixed", "cider_d"), "better",
        answer.with_interval(captioning, "synthetic", "cider_d"), "worse",
    ]  # fmt: skip
    assert len(found["measure"]) == 5  # what was not trained has no difference


def test_each_number_of_originals_has_its_difference_and_the_worth_of_a_picture(captioning):
    found = rows(study_tables.by_number_of_originals(captioning))
    assert list(found)[2:] == ["24", "96", "384"]
    assert found["24"][3] == "better"
    assert found["384"][3] == "worse"
    assert found["24"][4].startswith("0.3")


def test_every_setting_of_the_ddpm_series_has_a_row(root):
    params = load_params(root / "params.yaml").model_dump(mode="json")
    found = rows(study_tables.series({name: str(value) for name, value in dotted(params).items()}))
    assert list(found)[2:] == list(SETTING_NAMES.values())
    assert found["one image, 32 px"][:2] == ["32", "x0"]


def test_the_published_table_and_curves_are_those_of_the_study():
    figures = published()
    assert [[row["blip2"], row["llama3"]] for row in figures["fid"]] == [
        [80.0, 88.2], [24.3, 31.1], [29.8, 31.0], [32.0, 31.6],
    ]  # fmt: skip
    assert min(figures["fid_by_step"], key=lambda row: row["fid"]) == {"step": 4000, "fid": 22.24}
    assert min(figures["fid_by_guidance"], key=lambda row: row["fid"])["guidance_scale"] == 3.0


def test_the_published_median_of_sigma_is_found_again():
    assert median_sigma(-0.5, "diffusers", shift=3) == pytest.approx(0.832, abs=5e-4)
    assert median_sigma(0.5, "diffusers", shift=3) == pytest.approx(0.645, abs=5e-4)
    assert median_sigma(0.0, "sigma", shift=3) == pytest.approx(0.75)


def test_the_published_minus_half_belongs_to_plus_half_on_sigma():
    assert published_fid("blip2", mean_on_sigma(0.5, "sigma")) == 24.3
    assert published_fid("blip2", mean_on_sigma(-0.5, "diffusers")) == 24.3
    assert published_fid("llama3", mean_on_sigma(-0.5, "sigma")) == 31.6
    assert published_fid("llama3", mean_on_sigma(0.0, "diffusers")) == 31.0
    assert published_fid("blip2", None) == 80.0
    assert published_fid("blip2", 0.25) is None, "a mean that was not published has no figure"


def test_zero_has_no_sign():
    assert signed(mean_on_sigma(0.0, "diffusers")) == "0"
    assert signed(-0.5) == "\N{MINUS SIGN}0.5"


def test_few_images_stand_beside_dreambooth_where_dino_and_clip_measure_too():
    found = {"base_similarity": 0.1, "lora_none_similarity": 0.4}
    assert rows(study_tables.personal(found)) == {
        "method, prior": ["similarity"], "---": ["---:"], "base, not trained": ["0.100"], "LoRA, no prior": ["0.400"],
    }  # fmt: skip
    measured = {f"{row}_{name}": 0.5 for row in ("base", "lora_none") for name in ("dino", "clip_image", "clip_text")}
    table = rows(study_tables.personal(found | measured))
    assert table["method, prior"] == ["similarity", "DINO", "CLIP-I", "CLIP-T"]
    assert table["published: DreamBooth, Stable Diffusion 1.5"] == ["–", "0.494", "0.721", "0.356"]


def test_without_numbers_of_originals_there_is_no_table():
    assert study_tables.by_number_of_originals({}) == ""
