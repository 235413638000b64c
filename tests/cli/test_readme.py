"""The results in README.md come from metrics/summary.json."""

import re
from pathlib import Path

import pytest

from difflab.cli.readme import BEGIN, END, refreshed, results
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_json

MEANS = {"sd3_minus_logit_mean": -0.5, "sd3_zero_logit_mean": 0.0, "sd3_plus_logit_mean": 0.5}
SUMMARY = {
    "sd3_n": 150, "sd3_seeds": 1, "sd3_dim": 96, "sd3_comparable_with_published": 0, "sd3_best_fid": 9.0,
    "sd3_largest_fid_ratio_to_pretrained": 0.25, "sd3_pretrained_blip2_fid": 81.25, **MEANS,
}  # fmt: skip


@pytest.fixture
def summary(tmp_path):
    write_json(tmp_path / "summary.json", SUMMARY)
    return tmp_path / "summary.json"


def test_the_table_and_the_finding_are_those_of_the_summary(summary):
    text = refreshed(f"{BEGIN}\n{END}", summary)
    assert "| pretrained | 81.2 | – | 80.0 | 88.2 |" in text
    assert "\n- SD3 LoRA: **Fine-tuning brings the samples nearer" in text
    assert "to at most 25 %" in text
    assert "FID of 150 generated images for each cell and seed, one generation seed, 96-dimensional" in text


def test_only_what_stands_between_the_markers_changes(summary):
    text = f"# Title\n\n{BEGIN}\nold\n{END}\n\nEnd.\n"
    new = refreshed(text, summary)
    assert new.startswith(f"# Title\n\n{BEGIN}\n")
    assert new.endswith(f"\n{END}\n\nEnd.\n")
    assert "old" not in new
    assert refreshed(new, summary) == new


@pytest.mark.parametrize("text", ["no markers", f"{END} then {BEGIN}", BEGIN])
def test_missing_markers_are_an_error(summary, text):
    with pytest.raises(DifflabError, match="lacks the lines"):
        refreshed(text, summary)


def test_no_results_is_one_line(tmp_path):
    with pytest.raises(DifflabError, match="run `dvc repro`"):
        results(tmp_path / "summary.json")


def test_the_readme_of_the_repository_has_its_markers(root):
    text = (root / "README.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1


def test_links_lead_to_files_or_to_outputs_of_the_pipeline(root):
    pipeline = (root / "dvc.yaml").read_text()
    for page in (root / "README.md", *(root / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                place = (page.parent / target).resolve()
                assert place.exists() or Path(target).parent.as_posix() in pipeline, f"{page.name}: {target}"
