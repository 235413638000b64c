"""The report: template.md with the numbers, tables and sentences of every study in place of its fields."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from difflab.captioning import answer, by_originals
from difflab.core.base.errors import reading
from difflab.core.base.files import read_csv
from difflab.core.environment import LIBRARIES, installed, mismatches, processor
from difflab.core.params.loading import dotted, load_params
from difflab.report import attention, claims, findings, study_tables
from difflab.report.line_styles import DRAWN
from difflab.report.summary import kinds_of, part
from difflab.report.tables import bullets, number
from difflab.sd3.artifacts.cells import BOTH, CAPTION_NAMES, CAPTIONS, PUBLISHED

DEFAULT = "tiny"
"""The profile whose results the claims speak of."""
BEFORE_AFTER = "plots/report/before_after_{}.png"
CAPTION_MEASURES = (
    "n_unique", "digit_accuracy_held_out", "photo_accuracy_held_out", "facts_kept", "captions_complete", "contradictory",
)  # fmt: skip
PICTURE = re.compile(r"!\[[^\]]*\]\(\.\./([^)]+)\)")


def write(
    summary: Mapping[str, float], params: Mapping[str, Any], missing: Sequence[str] = (), root: Path = Path()
) -> str:
    """The report as Markdown, to stand in `root`/reports.

    What the template says of numbers and pictures that do not exist is left out; the pictures are listed at the end.

    Args:
        summary: the numbers of metrics/summary.json.
        params: the parameters that the stage declares, by their dotted names or nested.
        missing: other files that the report would read and that do not exist.
    """
    values = {key: value for key, value in fields(summary, params, root).items() if value}
    template = Path(__file__).with_name("template.md").read_text()
    pictures = [*PICTURE.findall(template), *map(BEFORE_AFTER.format, kinds_of(part(summary, "sd3")))]
    missing = [*missing, *(path for path in pictures if not (root / path).is_file())]
    if missing:
        values["missing"] = bullets(f"`{path}`: `dvc repro` makes it" for path in missing)
    values |= {f"if_{name}": "" for name in list(values) if name.endswith("_table")}  # for what is said of a table
    values |= dict.fromkeys((name for name, holds in conditions(summary, params, root).items() if holds), "")
    sections = [_filled(section, {**summary, **values}, missing) for section in template.strip().split("\n\n## ")]
    return "\n\n## ".join(section for section in sections if section) + "\n"


def _filled(section: str, values: Mapping[str, Any], missing: Sequence[str]) -> str:
    """A section with its fields filled in, without the blocks whose values or pictures do not exist.

    Empty where nothing but text would be left.
    """
    kept, evidence = [], False
    for block in section.split("\n\n"):
        pictures = PICTURE.findall(block)
        if (text := _block(block, values)) and not set(pictures) & set(missing):
            kept.append(text)
            evidence |= bool(pictures) or text != block
    return "\n\n".join(kept) if evidence else ""


def _block(block: str, values: Mapping[str, Any]) -> str:
    """A block with its fields filled in; empty where a value does not exist. Of a table only the row goes."""
    lines = []
    for line in block.splitlines():
        try:
            lines.append(line.format_map(values))
        except KeyError:
            if not line.startswith("| "):
                return ""
    return "" if block.startswith("| ") and len(lines) == 2 else "\n".join(lines)


def fields(summary: Mapping[str, float], params: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """What the fields of the template stand for, besides the numbers of the summary; empty where it does not exist."""
    own = params["profile"] == DEFAULT and (root / claims.CLAIMS).is_file()
    stated = claims.read(root / claims.CLAIMS) if own else []
    shown = {name: _shown(value) for name, value in dotted(params).items()}
    kinds = kinds_of(part(summary, "sd3"))
    values: dict[str, Any] = {
        "params": shown,
        "published": study_tables.published(),
        "trained_noise": findings.trained_noise(part(summary, "denoising")),
        "series_table": study_tables.series(shown),
        "machine": machine(),
        "before_after": before_after(root),
        "caption_measures": caption_measures(summary),
        "line_styles": f"{', '.join(f'{DRAWN[kind]}: {CAPTION_NAMES[kind]}' for kind in kinds)}.".capitalize(),
        "density_table": study_tables.densities(part(summary, "sd3")),
        "claims_table": claims.claims_table(claims.known_findings(stated, summary)[0]),
        **{f"{study}_findings": bullets(sentences) for study, sentences in by_study(summary).items()},
    }
    if "process_octaves_off" in summary:
        values["process_factor"] = 2 ** summary["process_octaves_off"]
    if (path := root / "plots/score.csv").is_file():
        with reading(path, "run `dvc repro score`"):
            values["made_by_table"] = study_tables.made_by(read_csv(path))
    if (path := root / "plots/anatomy.csv").is_file():
        with reading(path, "run `dvc repro process`"):
            values["anatomy_table"] = study_tables.anatomy(read_csv(path, dtype={"input": str, "output": str}))
    return values | tables(summary)


def before_after(root: Path) -> str:
    """The pictures of samples before and after fine-tuning, for each kind of captions that has one."""
    made = {BEFORE_AFTER.format(kind): name for kind, name in CAPTION_NAMES.items()}
    return "\n\n".join(
        f"![{name}, before and after](../{path})\n*{name}.*" for path, name in made.items() if (root / path).is_file()
    )


def caption_measures(summary: Mapping[str, float]) -> str:
    """Rows of what was measured of the captions, without the bar that the first begins with."""
    names = (f"sd3_captions_{kind}_{measure}" for kind in CAPTIONS for measure in CAPTION_MEASURES)
    return "\n| ".join(f"`{name}` | {summary[name]:.4g} |" for name in names if name in summary)


def conditions(summary: Mapping[str, float], params: Mapping[str, Any], root: Path = Path()) -> dict[str, bool]:
    """Fields that stand for nothing: the block that one of them begins is left out where it does not hold."""
    same_sign = dotted(params)["finetune.density.convention"] == study_tables.published()["convention"]
    return {
        "if_miniature": not summary["sd3_comparable_with_published"],
        "if_same_sign": same_sign,
        "if_other_sign": not same_sign,
        "if_both_captions": all(dotted(params).get(f"trained_on.{kind}") == BOTH for kind in PUBLISHED),
        "if_before_after": bool(before_after(root)),
        "if_faces_withheld": bool(summary.get("sd3_faces_withheld")),
        "if_rank_deficient": bool(summary.get("sd3_rank_deficient")),
        "if_by_originals": bool(by_originals.sizes_of(part(summary, "captioning"))),
        "if_encoder_trained": bool(summary.get("models_vision_encoder_trained")),
    }


def by_study(summary: Mapping[str, float]) -> dict[str, list[str]]:
    """The findings of every study, in the order of the report; empty for one that was not run."""
    studies = {
        "sd3": findings.sd3,
        "blocks": findings.blocks,
        "attention": attention.sentences,
        "denoising": findings.denoising,
        "ddpm": findings.ddpm,
        "process": findings.process,
        "memorisation": findings.memorisation,
        "cold": findings.cold,
        "personal": findings.personal,
        "captioning": lambda found: [*answer.sentences(found), *by_originals.sentences(found)],
    }
    return {name: find(found) if (found := scored(summary, name)) else [] for name, find in studies.items()}


def tables(summary: Mapping[str, float]) -> dict[str, str]:
    """The tables that are made from the summary, for the studies that were run."""
    found: dict[str, str] = {}
    if sd3 := scored(summary, "sd3"):
        found |= {
            "fid_table": study_tables.cells(sd3, "model", "fid"),
            "table_note": table_note(sd3),
            "kid_table": study_tables.cells(sd3, "KID × 1000", "kid", scale=1000),
            "pairs_table": study_tables.pairs(sd3),
        }
        if "real_precision" in sd3:
            found["neighbours_table"] = study_tables.cells(sd3, "model", "precision", "recall")
        if "real_digit_accuracy" in sd3:
            found["accuracy_table"] = study_tables.cells(sd3, "model", "digit_accuracy", "photo_accuracy")
    if blocks := part(summary, "blocks"):
        found |= {"blocks_table": study_tables.blocks(blocks), "blocks_tuned_table": study_tables.blocks_tuned(blocks)}
    if numbers := scored(summary, "attention"):
        found["attention_table"] = attention.scores_table(numbers)
    for study in ("denoising", "ddpm", "memorisation", "cold", "captioning", "personal"):
        if numbers := scored(summary, study):
            found[f"{study}_table"] = getattr(study_tables, study)(numbers)
    if captioning := scored(summary, "captioning"):
        found["differences_table"] = study_tables.differences(captioning)
        found["originals_table"] = study_tables.by_number_of_originals(captioning)
    return {name: text for name, text in found.items() if text}


def scored(summary: Mapping[str, float], study: str) -> dict[str, float]:
    """The numbers of a study by their short names; empty where its last stage has not run."""
    last = {"sd3": "best_fid", "captioning": f"{answer.BASELINE}_{answer.MAIN}"}.get(study, "")
    found = part(summary, study)
    return found if not last or last in found else {}


def results_text(summary: Mapping[str, float]) -> str:
    """Findings and tables of all studies, for the terminal."""
    sentences = [sentence for study in by_study(summary).values() for sentence in study]
    return "\n\n".join([bullets(sentences), *tables(summary).values()])


def headline_text(summary: Mapping[str, float]) -> str:
    """The main table and the first finding of three studies, for the README."""
    found, sentences = tables(summary), by_study(summary)
    names = {"sd3": "SD3 LoRA", "denoising": "Denoising", "captioning": "Captioning"}
    first = [f"{name}: {sentences[study][0]}" for study, name in names.items() if sentences[study]]
    return "\n\n".join([found.get("fid_table", ""), found.get("table_note", ""), bullets(first)]).strip()


def table_note(sd3: Mapping[str, float]) -> str:
    """What the main table's values are: n, what varied, features, and whether they compare with the published ones."""
    end = "A miniature on other images: its values do **not** compare with the published ones."
    if sd3["comparable_with_published"]:
        end = "The settings are the published ones."
    return f"FID of {sd3['n']:g} generated images, {sd3['dim']:g}-dimensional features. {varied(sd3)} {end}"


def varied(sd3: Mapping[str, float]) -> str:
    """What the intervals of the SD3 study contain, or that there are none."""
    trainings, spread = sd3.get("trainings", 1), sd3.get("fid_relative_spread", sd3.get("fid_spread"))
    if trainings < 2 or spread is None:
        return "One training of each cell: no interval."
    size = f"{100 * spread:.1f} % of the mean" if "fid_relative_spread" in sd3 else number(spread)
    return (
        f"Mean of {trainings:g} trainings ± half of its 95 % interval, over training and generation (spread {size}, pooled "
        f"over the cells, {sd3['fid_freedom']:g} degrees of freedom). The pretrained model is given: over generation alone."
    )


def machine() -> str:
    """Processor, accelerators (found without torch), Python and the versions of the libraries that decide results."""
    versions = ", ".join(f"{name} {installed(name)}" for name in LIBRARIES)
    if other := mismatches(load_params().environment.versions):
        versions += f" (locked: {', '.join(other)})"
    made = [processor()]
    if os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        texts = (path.read_text() for path in Path("/proc/driver/nvidia/gpus").glob("*/information"))
        made += sorted(model[1] for text in texts if (model := re.search(r"Model:\s*(.+)", text)))
    return f"{', '.join(made)}, {platform.system()}, Python {platform.python_version()}; {versions}"


def _shown(value: Any) -> str:
    if value is None:
        return "= rank"  # alpha
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
