"""The report: what every stage found, on one page."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from difflab.report import captioning_report, figures, series_report, style, tables, verdicts
from difflab.report.document import Block, Bullets, Picture, Section, Text
from difflab.report.inputs import METRIC_STAGES, Inputs
from difflab.report.published import published
from difflab.report.summary import best_point
from difflab.sd3.cells import ADAPTERS, CAPTION_NAMES, CAPTIONS, adapter_name

TITLE = "Stable Diffusion 3 LoRA study, denoisers, the diffusion DDPM series and captioning"
HEADLINES = re.compile(
    r"rows|present|kept|psnr|(text_encoder(_2)?_)?(digit|photo)_accuracy(_held_out)?|facts_kept|digit_kept|"
    r"captions_complete|val_loss|n_unique|captions|bytes_per_image|truncated.*|contradictory|best_.*|last_fid"
)
MADE_BY = (
    "extractor", "dim", "resize", "reference", "reference_n", "prompts", "n", "seed", "sampler",
    "num_inference_steps", "guidance_scale",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """What the report needs besides the inputs.

    Attributes:
        profile: name of the composed profile.
        convention: sign convention of the logit mean in this run.
        logit_std: standard deviation of the logit-normal density.
        plots: folder of the light figures, linked from the Markdown.
        dark: folder of the dark figures, embedded in the HTML only.
    """

    profile: str
    convention: str
    logit_std: float
    plots: Path
    dark: Path


def build(inputs: Inputs, summary: Mapping[str, float], study: Study) -> list[Section]:
    """All sections; an absent input leaves its part out and is listed, with the stage to run, in the last
    one."""
    sections = [
        Section("What this is", introduction(summary, study)),
        Section("Results", results(inputs, summary, study)),
        Section("What it answers", [Bullets(verdicts.answers(summary)), *_limits(summary)]),
        Section("Before and after", grids(inputs, summary)),
        Section("Training", training(inputs, summary, study)),
        Section("Sigma densities", densities(summary, study)),
        Section("Guidance and steps", curves(inputs, study)),
        Section("Captions, models and data", measures(inputs)),
        Section("How the scores were made", how(inputs, summary)),
        *series_report.sections(inputs),
        Section(
            "Does synthetic data help captioning?", captioning_report.blocks(inputs, partial(_figure, study))
        ),
        Section("Options of sampling", captioning_report.options(inputs)),
    ]
    if inputs.missing:
        lines = [
            f"`{path}` is missing: run `dvc repro {stage}`" for path, stage in sorted(inputs.missing.items())
        ]
        sections.append(Section("Missing inputs", [Bullets(lines)]))
    return [section for section in sections if section.blocks]


def introduction(summary: Mapping[str, float], study: Study) -> list[Block]:
    what = (
        "Stable Diffusion 3 is fine-tuned with LoRA on new images, once for each of two kinds of "
        "captions (short ones of BLIP-2, detailed ones of Llama 3) and three means of the logit-normal "
        "timestep density. Frechet distances to real images say how near each adapter comes, beside the "
        "pretrained model and the published figures."
    )
    blocks: list[Block] = [Text(what)]
    if not summary.get("comparable_with_published"):
        blocks.append(
            Text(
                f"Profile `{study.profile}`: the whole study in miniature. The same stages, classes and "
                "formats run with small models that the pipeline trains itself on real handwritten "
                "digits over photographs."
            )
        )
    return blocks


def results(inputs: Inputs, summary: Mapping[str, float], study: Study) -> list[Block]:
    if not inputs.metrics("score"):
        return [Text("No scores yet: run `dvc repro score`.")]
    means = tables.logit_means(summary)
    blocks: list[Block] = [tables.fid_table(summary), Text(tables.table_note(summary)), Text(_pairing(study))]
    blocks.append(
        _figure(
            study,
            "fid_by_cell",
            "FID of each cell. Bars: mean over generation seeds, with standard deviation. Dashed: real "
            "images at the same n.",
            lambda theme: figures.fid_by_cell(theme, summary, means),
        )
    )
    accuracy = tables.accuracy_table(summary)
    if accuracy is not None:
        blocks += [
            Text("Does a sample show the class of its caption? Judged by the study's own classifier:"),
            accuracy,
        ]
    blocks += [
        Text(
            "KID, whose expectation does not depend on the number of images. It is an unbiased estimate and "
            "falls below zero where two sets differ less than chance makes them:"
        ),
        tables.kid_table(summary),
    ]
    return blocks


def _pairing(study: Study) -> str:
    known = published()
    text = f"Published: [{known['source']}]({known['url']}). "
    if study.convention == known["convention"]:
        return text + "Both use the same sign of m (see Sigma densities)."
    return text + (
        "The published m has the opposite sign: its −0.5 trains on more noise and stands beside 0.5 of this "
        "run, which does the same (see Sigma densities)."
    )


def grids(inputs: Inputs, summary: Mapping[str, float]) -> list[Block]:
    means = tables.logit_means(summary)
    blocks: list[Block] = []
    real = inputs.real_grid()
    if real is not None:
        blocks.append(Picture(real, "real images of the same samples", pixels=True))
    for captions in CAPTIONS:
        for adapter in ADAPTERS:
            path = inputs.grid(adapter, captions)
            if path is not None:
                name = f"{CAPTION_NAMES[captions]}, {adapter_name(adapter, means)}"
                caption = f"{name}: the same captions and the same noise as in the others"
                blocks.append(Picture(path, caption, pixels=True))
    return blocks


def training(inputs: Inputs, summary: Mapping[str, float], study: Study) -> list[Block]:
    rows = inputs.curves()
    if not rows:
        return []
    means = tables.logit_means(summary)
    blocks: list[Block] = [
        _figure(
            study,
            "loss",
            "Training loss (thin, running mean) and held-out loss at fixed noise and sigmas (thick). "
            "Each density weighs the sigmas differently, so training losses of different m do not "
            "compare; held-out losses do.",
            lambda theme: figures.loss_curves(theme, rows, means),
        )
    ]
    if figures.sigma_columns(rows):
        blocks.append(
            _figure(
                study,
                "loss_by_sigma",
                "Held-out loss at fixed sigmas. Solid: BLIP-2 captions, dashed: Llama 3 captions.",
                lambda theme: figures.loss_by_sigma(theme, rows, means),
            )
        )
    return blocks


def densities(summary: Mapping[str, float], study: Study) -> list[Block]:
    means, shift = tables.logit_means(summary), summary["shift"]
    text = (
        "The same m means opposite things in two conventions. On sigma (1 is pure noise), logit σ ~ N(ln "
        "shift + m, s²): a larger m trains on more noise, as the SD3 paper has it. diffusers' scripts "
        "draw an index into timesteps that run from noise to image, which turns the sign round: there m "
        "= −0.5 trains on **more** noise (median σ .83 at shift 3). The published study used the "
        f"latter; this run uses `{study.convention}` at shift {shift:g}."
    )
    picture = _figure(
        study,
        "sigma_densities",
        "Density of the trained sigma for the three means, read in both conventions.",
        lambda theme: figures.sigma_densities(theme, means, study.logit_std, shift, study.convention),
    )
    return [Text(text), tables.density_table(summary), picture]


def curves(inputs: Inputs, study: Study) -> list[Block]:
    blocks: list[Block] = []
    for stage, x, label, known in (
        ("guidance_curve", "guidance_scale", "guidance scale", published()["fid_by_guidance"]),
        ("step_curve", "step", "training step", published()["fid_by_step"]),
    ):
        rows = inputs.table(f"plots/{stage}.csv", stage)
        best = best_point(rows, x)
        if rows is None or best is None:
            continue
        caption = (
            f"FID by {label} of {rows.n.max():g} images, one generation seed: lowest here at {best[0]:g} (FID "
            f"{tables.number(best[1])}). Fewer images give a higher FID, so the values lie above the table's. "
            f"Published curve: {published()['curves_source']}."
        )

        def draw(theme: style.Theme, rows=rows, known=known, x=x, label=label):
            return figures.curve_beside_published(theme, rows, known, x, label)

        blocks.append(_figure(study, stage, caption, draw))
    return blocks


def measures(inputs: Inputs) -> list[Block]:
    """The headline numbers of the stages before the scores; `dvc metrics show` prints all of them."""
    found = {stage: inputs.metrics(stage) for stage in METRIC_STAGES if stage != "score"}
    chosen = {
        stage: {key: value for key, value in values.items() if HEADLINES.fullmatch(key)}
        for stage, values in found.items()
    }
    chosen = {stage: values for stage, values in chosen.items() if values}
    return [tables.measures_table(chosen)] if chosen else []


def how(inputs: Inputs, summary: Mapping[str, float]) -> list[Block]:
    scores = inputs.table("plots/score.csv", "score")
    if scores is None:
        return []
    blocks: list[Block] = [tables.made_by_table(scores[scores.adapter != "real"], MADE_BY)]
    text = (
        "Distances: float64, symmetric eigen-decomposition; KID with the cubic polynomial kernel, unbiased. "
    )
    text += "Spread: standard deviation over generation seeds, not a bootstrap, which is biased for FID. "
    if "floor_n" in summary:
        text += f"Floor: {summary['floor_n']:g} real images of another split against the same reference. "
    if summary.get("rank_deficient"):
        text += (
            "**n is not larger than the feature dimension**: covariances are singular and FID is too high. "
        )
    return [*blocks, Text(text.strip())]


def _limits(summary: Mapping[str, float]) -> list[Block]:
    limits = list(verdicts.LIMITS)
    if not summary.get("comparable_with_published"):
        limits.insert(0, verdicts.MINIATURE_LIMIT)
    return [Text("What it does not answer:"), Bullets(limits)]


def _figure(study: Study, name: str, caption: str, draw: Callable[[style.Theme], object]) -> Picture:
    """Draw one figure for light and dark pages and save both."""
    paths = {
        theme.name: folder / f"{name}.png"
        for theme, folder in zip(style.THEMES, (study.plots, study.dark), strict=True)
    }
    for theme in style.THEMES:
        style.render(draw, theme, paths[theme.name])
    return Picture(paths["light"], caption, dark=paths["dark"])
