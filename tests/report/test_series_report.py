"""The report's sections on the DDPM series: what is there is told, what is absent is listed."""

import pytest

from difflab.core.base.files import write_json
from difflab.ddpm.settings import SETTING_NAMES, SETTINGS
from difflab.report import series_report
from difflab.report.document import Picture, Section, Table, Text, to_html, to_markdown
from difflab.report.inputs import Inputs
from difflab.report.series_report import METHODS
from fakes.series_results import METRICS, PICTURES, ddpm_score, denoise_score, write_series_inputs

TITLES = (
    "Denoising", "The DDPM series", "What appears first", "Do samples copy training images?", "Cold diffusion",
)  # fmt: skip


@pytest.fixture
def root(tmp_path):
    write_series_inputs(tmp_path)
    return tmp_path


def sections(root) -> tuple[dict[str, Section], dict[str, str]]:
    inputs = Inputs(root)
    return {section.title: section for section in series_report.sections(inputs)}, inputs.missing


def blocks(root, title: str, kind: type) -> list:
    return [block for block in sections(root)[0][title].blocks if isinstance(block, kind)]


def rows(root, title: str) -> list[list[str]]:
    (table,) = blocks(root, title, Table)
    assert {len(row) for row in table.rows} == {len(table.header)}
    return table.rows


def test_every_section_has_its_text_table_and_pictures(root):
    found, missing = sections(root)
    assert tuple(found) == TITLES
    assert not missing
    for title in TITLES:
        assert all(blocks(root, title, kind) for kind in (Text, Table, Picture)), title
    pictures = [b.path for s in found.values() for b in s.blocks if isinstance(b, Picture)]
    assert sorted(pictures) == sorted(root / path for path in PICTURES)


def test_the_sections_can_be_written_in_both_forms(root):
    found, _ = sections(root)
    page, text = to_html("T", list(found.values())), to_markdown("T", list(found.values()), root)
    for title in TITLES:
        assert f"## {title}" in text
    assert page.count("data:image/png") == len(PICTURES)
    assert "nan" not in text


def test_denoisers_stand_from_the_noise_to_the_best_beside_the_published_figures(root):
    table = {row[0]: row[1:] for row in rows(root, "Denoising")}
    assert list(table) == list(METHODS.values())
    assert table["best linear denoiser"] == [
        "23.40 ± 0.08", "0.780 ± 0.004", "22.40 ± 0.08", "0.747 ± 0.004", "–", "–",
    ]  # fmt: skip
    assert table[METHODS["v1"]] == ["25.60 ± 0.08", "0.853 ± 0.004", "–", "–", "25.11", "0.84"]
    assert table[METHODS["v2"]][-2:] == ["16.16", "0.3757"]


def test_the_picture_of_the_denoisers_names_its_rows_in_their_order(root):
    """The order in which stages/ddpm/denoise_score.py makes them."""
    (picture,) = blocks(root, "Denoising", Picture)
    assert picture.caption.endswith("clean, noisy, then linear, nlm, tv, v0, v1, v2")


def test_networks_trained_on_unclipped_noise_are_pictured_with_it(root):
    scores = {k.replace("v0_clipped", "v0_unclipped").replace("v1_clipped", "v1_unclipped"): v
              for k, v in denoise_score().items()}  # fmt: skip
    write_json(root / "metrics/denoise_score.json", scores)
    (picture,) = blocks(root, "Denoising", Picture)
    assert picture.caption.endswith("clean, noisy, then linear, nlm, tv, v0, v1, v2")


def test_each_setting_says_how_good_it_is_in_its_own_measure(root):
    table = rows(root, "The DDPM series")
    assert table[0] == ["one image, 32 px", "best 31.3 dB, mean 27.0 dB to the image", "–", "–", "–", "16"]
    assert table[2] == [
        "one kind of image",
        "FID 31.4 (floor 4.04)",
        "0.0123 (floor −0.0002)",
        "–",
        "–",
        "400",
    ]
    assert table[-1] == [
        "by prompt",
        "FID 31.4 (floor 4.04)",
        "0.0123 (floor −0.0002)",
        "87.5 %",
        "91.6 %",
        "400",
    ]
    assert len(table) == len(SETTINGS)


def test_the_parts_of_the_networks_are_listed(root):
    table = rows(root, "What appears first")
    assert table[0] == [
        "class_conditional", "in", "Conv2d", "3 x 32 x 32", "16 x 32 x 32", "123,456", "25.0 %",
    ]  # fmt: skip
    assert table[1][3] == ""


def test_memory_is_told_for_the_settings_that_were_looked_at(root):
    assert rows(root, "Do samples copy training images?") == [
        ["one image, 32 px", "0.12", "100 %"],
        ["by class", "0.97", "0 %"],
    ]


def test_both_degradations_are_told(root):
    values = ["20.10 ± 0.30", "24.30 ± 0.30", "15.20 ± 0.30", "16.70 ± 0.30"]
    found = {row[0]: row[1:] for row in rows(root, "Cold diffusion")}
    assert list(found) == ["blur, PSNR", "blur, SSIM", "mask, PSNR", "mask, SSIM"]
    assert found["blur, PSNR"] == found["mask, PSNR"] == values


def test_one_degradation_is_told_without_the_other(root):
    (root / "metrics/cold/blur.json").unlink()
    assert [row[0] for row in rows(root, "Cold diffusion")] == ["mask, PSNR", "mask, SSIM"]
    assert [picture.path.name for picture in blocks(root, "Cold diffusion", Picture)] == ["mask.png"]


STAGE_OF = {f"metrics/{stage.replace('@', '/')}.json": stage for stage in METRICS} | {
    "plots/anatomy.csv": "process",
    "plots/grids/denoise.png": "denoise_score",
    "plots/ddpm/latent.png": "ddpm_sample@latent",
    "plots/ddpm/text-process.png": "ddpm_sample@text",
    "plots/cold/mask.png": "cold@mask",
}


@pytest.mark.parametrize("gone", STAGE_OF)
def test_an_absent_input_is_listed_with_its_stage_and_the_rest_stays(root, gone):
    whole, _ = sections(root)
    (root / gone).unlink()
    found, missing = sections(root)
    assert missing == {gone: STAGE_OF[gone]}
    changed = [title for title in TITLES if found[title].blocks != whole[title].blocks]
    assert len(changed) == 1
    assert len(found[changed[0]].blocks) < len(whole[changed[0]].blocks) or "cold" in gone


def test_without_any_input_no_section_says_anything(tmp_path):
    found, missing = sections(tmp_path)
    assert tuple(found) == TITLES
    assert not any(section.blocks for section in found.values())
    assert missing == {f"metrics/{stage.replace('@', '/')}.json": stage for stage in METRICS}


def test_a_floor_of_fewer_images_is_not_shown():
    found = ddpm_score() | {"single_class_floor_n": 12}
    rows = {row[0]: row for row in series_report.series_table(found).rows}
    assert rows[SETTING_NAMES["single_class"]][1:3] == ["FID 31.4", "0.0123"]
    assert "floor" in rows[SETTING_NAMES["text"]][1]
