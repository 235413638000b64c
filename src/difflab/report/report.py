"""The report: template.md with the numbers, tables and sentences of every study in place of its fields."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from difflab.captioning import answer
from difflab.ddpm.settings import SETTING_NAMES
from difflab.report import findings, made_with, study_tables
from difflab.report.markdown import bullets, table
from difflab.report.published import published
from difflab.report.summary import part

MADE_BY = (
    "extractor", "dim", "resize", "reference", "reference_n", "prompts", "n", "seed", "sampler",
    "num_inference_steps", "guidance_scale",
)  # fmt: skip
PICTURE = re.compile(r"!\[[^\]]*\]\(\.\./([^)]+)\)")


def write(
    summary: Mapping[str, float], params: Mapping[str, Any], missing: Sequence[str] = (), root: Path = Path()
) -> str:
    """The report as Markdown, to stand in `root`/reports.

    What the template says of numbers and pictures that do not exist is left out; the pictures are listed at the end.

    Args:
        summary: the numbers of metrics/summary.json.
        params: the parameters of the run, nested.
        missing: other files that the report would read and that do not exist.
    """
    values = {key: value for key, value in fields(summary, params, root).items() if value}
    template = Path(__file__).with_name("template.md").read_text()
    missing = [*missing, *(path for path in PICTURE.findall(template) if not (root / path).is_file())]
    if missing:
        values["missing"] = bullets(f"`{path}`: `dvc repro` makes it" for path in missing)
    sections = [_filled(section, {**summary, **values}, missing) for section in template.strip().split("\n\n## ")]
    return "\n\n## ".join(section for section in sections if section) + "\n"


def _filled(section: str, values: Mapping[str, Any], missing: Sequence[str]) -> str:
    """A section with its fields filled in, without the blocks whose values or pictures do not exist.

    Empty where nothing but text would be left.
    """
    kept, evidence = [], False
    for block in section.split("\n\n"):
        pictures = PICTURE.findall(block)
        if set(pictures) & set(missing):
            continue
        try:
            kept.append(block.format_map(values))
        except KeyError:
            continue
        evidence |= bool(pictures) or kept[-1] != block
    return "\n\n".join(kept) if evidence else ""


def fields(summary: Mapping[str, float], params: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """What the fields of the template stand for, besides the numbers of the summary; empty where it does not exist."""
    values: dict[str, Any] = {
        "profile": params["profile"],
        "convention": params["finetune"]["density"]["convention"],
        "published": published(),
        "trained_noise": findings.trained_noise(part(summary, "denoising")),
        "hyperparameters": made_with.hyperparameters(params),
        "series_hyperparameters": made_with.series(params),
        "machine": made_with.machine(),
        "density_table": study_tables.densities(part(summary, "sd3")),
        "published_note": published_note(params["finetune"]["density"]["convention"]),
        **{f"{study}_findings": bullets(sentences) for study, sentences in by_study(summary).items()},
    }
    if not summary["sd3_comparable_with_published"]:
        values["profile_note"] = MINIATURE
    if summary.get("sd3_rank_deficient"):
        values["rank_note"] = RANK_DEFICIENT
    if "process_octaves_off" in summary:
        values["process_factor"] = 2 ** summary["process_octaves_off"]
    if summary.get("models_vision_encoder_trained"):
        values["encoder_note"] = ENCODER_KNOWS
    return values | tables(summary) | _tables_of_files(root)


def by_study(summary: Mapping[str, float]) -> dict[str, list[str]]:
    """The findings of every study, in the order of the report; empty for one that was not run."""
    studies = {
        "sd3": findings.sd3,
        "denoising": findings.denoising,
        "ddpm": findings.ddpm,
        "process": findings.process,
        "memorisation": findings.memorisation,
        "cold": findings.cold,
        "captioning": answer.sentences,
    }
    return {name: find(found) if (found := scored(summary, name)) else [] for name, find in studies.items()}


def tables(summary: Mapping[str, float]) -> dict[str, str]:
    """The tables that are made from the summary, for the studies that were run."""
    found: dict[str, str] = {"measures_table": study_tables.measures(summary)}
    if sd3 := scored(summary, "sd3"):
        found |= {
            "fid_table": study_tables.cells(sd3, "model", "fid"),
            "table_note": table_note(sd3),
            "kid_table": study_tables.cells(sd3, "KID × 1000", "kid", scale=1000),
        }
        if "real_digit_accuracy" in sd3:
            found["accuracy_table"] = study_tables.cells(sd3, "model", "digit_accuracy", "photo_accuracy")
    for study in ("denoising", "ddpm", "memorisation", "cold", "captioning"):
        if numbers := scored(summary, study):
            found[f"{study}_table"] = getattr(study_tables, study)(numbers)
    if captioning := scored(summary, "captioning"):
        known = published()["captioning"]
        found["captioning_source"] = f"[{known['source']}]({known['url']}), on {known['images']}"
        found["differences_table"] = study_tables.differences(captioning)
    return found


def scored(summary: Mapping[str, float], study: str) -> dict[str, float]:
    """The numbers of a study by their short names; empty where its last stage has not run."""
    last = {"sd3": "best_fid", "captioning": f"{answer.BASELINE}_{answer.MAIN}"}.get(study, "")
    found = part(summary, study)
    return found if not last or last in found else {}


def results_text(summary: Mapping[str, float]) -> str:
    """Findings and tables of all studies, for the terminal."""
    sentences = [sentence for study in by_study(summary).values() for sentence in study]
    shown = [v for k, v in tables(summary).items() if k not in ("measures_table", "captioning_source")]
    return "\n\n".join([bullets(sentences), *shown])


def headline_text(summary: Mapping[str, float]) -> str:
    """The main table and the first finding of three studies, for the README."""
    found, sentences = tables(summary), by_study(summary)
    names = {"sd3": "SD3 LoRA", "denoising": "Denoising", "captioning": "Captioning"}
    first = [f"{name}: {sentences[study][0]}" for study, name in names.items() if sentences[study]]
    return "\n\n".join([found.get("fid_table", ""), found.get("table_note", ""), bullets(first)]).strip()


def table_note(sd3: Mapping[str, float]) -> str:
    """What the main table's values are: n, seeds, features, and whether they compare with the published ones."""
    n, seeds = sd3["n"], sd3["seeds"]
    over = f"{seeds:g} generation seeds (mean ± standard deviation)" if seeds > 1 else "one generation seed"
    end = "A miniature on other images: its values do **not** compare with the published ones."
    if sd3["comparable_with_published"]:
        end = "The settings are the published ones."
    return f"FID of {n:g} generated images for each cell and seed, {over}, {sd3['dim']:g}-dimensional features. {end}"


def published_note(convention: str) -> str:
    """Where the published values are from, and whether their m has this run's sign."""
    known = published()
    text = f"Published: [{known['source']}]({known['url']}). "
    if convention == known["convention"]:
        return text + "Both use the same sign of m."
    return text + (
        "The published m has the opposite sign: its −0.5 trains on more noise and stands beside 0.5 of this run, which "
        "does the same."
    )


def _tables_of_files(root: Path) -> dict[str, str]:
    """The tables that are made from tables of stages."""
    found = {}
    if (path := root / "plots/score.csv").is_file():
        scores = pd.read_csv(path).query("adapter != 'real'")
        rows = [
            [column.replace("_", " "), ", ".join(map(str, scores[column].drop_duplicates()))]
            for column in MADE_BY
            if column in scores
        ]
        found["made_by_table"] = table(["setting", "value"], rows, numbers=False)
    if (path := root / "plots/anatomy.csv").is_file():
        parts = pd.read_csv(path, dtype={"input": str, "output": str}).fillna({"input": "", "output": ""})
        header = ["setting", "part", "kind", "input", "output", "parameters", "share"]
        rows = [
            [SETTING_NAMES[setting], *described, f"{parameters:,}", f"{100 * share:.1f} %"]
            for setting, *described, parameters, share in zip(*(parts[h] for h in header), strict=True)
        ]
        unbroken = [[cell.replace(" x ", "×").replace(" %", "\N{NO-BREAK SPACE}%") for cell in row] for row in rows]
        found["anatomy_table"] = table(header, unbroken, numbers=False)
    return found


MINIATURE = (
    "This profile is the whole study in miniature: the same stages, classes and formats with small models that the "
    "pipeline trains itself, on real handwritten digits over photographs. Its values show that the method works from end "
    "to end, and say nothing about the published models: published figures stand beside for their order and shape only."
)
RANK_DEFICIENT = "**n is not larger than the feature dimension**: covariances are singular and FID is too high."
ENCODER_KNOWS = (
    "The frozen vision encoder learnt classes from most of the digits that the test pictures show, so the scores are not "
    "those of digits it never saw; all training sets have the same encoder."
)
