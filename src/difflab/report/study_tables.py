"""The tables of the studies, described, with the published figures (published.yaml) beside ours."""

import itertools
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from difflab.captioning import answer, by_originals
from difflab.captioning.answer import BASELINE, DATA, INSTRUCT, MEASURE_NAMES, ZERO_SHOT
from difflab.ddpm.common.settings import SETTING_NAMES
from difflab.personal.cells import METHODS as PERSONAL_METHODS
from difflab.personal.cells import PRIORS
from difflab.report.findings import DEGRADATIONS, INTERVAL, METHODS, PERCENT, SSIM, logit_means, verdict
from difflab.report.summary import kinds_of
from difflab.report.tables import Numbers, described, number, signed, table, value
from difflab.sd3.artifacts.cells import (
    ADAPTERS,
    CAPTION_NAMES,
    CAPTIONS,
    FINE_TUNED,
    PRETRAINED,
    adapter_name,
    mean_on_sigma,
    median_sigma,
)
from difflab.sd3.blocks.ways import WAY_NAMES, WAYS

DATA_NAMES = {
    BASELINE: "originals only",
    "mixed": "originals and synthetic",
    "synthetic": "synthetic only",
    ZERO_SHOT: "not trained",
    INSTRUCT: "instruction model",
}
SEVERAL = {
    "digit_accuracy": "digit, ",
    "photo_accuracy": "photograph, ",
    "precision": "precision, ",
    "recall": "recall, ",
}
"""What the columns of a table of several measures start with."""
SERIES = {
    "size": "ddpm.{}.image_size",
    "prediction": "ddpm.{}.objective.prediction",
    "schedule": "ddpm.{}.schedule.kind",
    "steps": "ddpm.{}.training.steps",
    "batch": "ddpm.{}.training.batch_size",
    "learning rate": "ddpm.{}.training.learning_rate",
    "sampler": "ddpm_sample.{}.sampler",
    "sampling steps": "ddpm_sample.{}.num_inference_steps",
    "guidance": "ddpm_sample.{}.guidance_scale",
}
MADE_BY = (
    "extractor", "dim", "resize", "reference", "reference_n", "prompts", "n", "seed", "sampler",
    "num_inference_steps", "guidance_scale",
)  # fmt: skip


@cache
def published() -> dict[str, Any]:
    """All published figures with their source, as in published.yaml."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("published.yaml").read_text())


def published_fid(captions: str, on_sigma: float | None) -> float | None:
    """FID of one cell of the published table; None where it has no such cell.

    `on_sigma` is the mean of logit(sigma) before the shift (`cells.mean_on_sigma`), None for the pretrained model.
    """
    figures = published()
    for row in figures["fid"]:
        mean = row["logit_mean"]
        if on_sigma == (None if mean is None else mean_on_sigma(mean, figures["convention"])):
            return row.get(captions)
    return None


def cells(found: Numbers, corner: str, *measures: str, scale: float = 1) -> str:
    """Measures of every cell of the SD3 study and of real images, a column for each measure and kind of captions."""
    values: dict[str, Any] = dict(found)
    columns = {}
    accuracy = measures[0] in SEVERAL
    for measure in measures:
        for captions in kinds_of(found):
            show = PERCENT if accuracy else value(scale=scale)
            columns[SEVERAL.get(measure, "") + CAPTION_NAMES[captions]] = f"{{}}_{captions}_{measure}", show
            values[f"real_{captions}_{measure}"] = found.get(f"real_{measure}", found.get(f"floor_{measure}"))
    for captions in filter(published()["fid"][0].get, CAPTIONS) if measures == ("fid",) else ():
        columns[f"published, {CAPTION_NAMES[captions]}"] = f"{{}}_{captions}_published", value(1)
        for adapter in ADAPTERS:
            fid = published_fid(captions, found.get(f"{adapter}_logit_mean_on_sigma"))
            values[f"{adapter}_{captions}_published"] = fid
    rows = {adapter: adapter_name(adapter, logit_means(found)) for adapter in ADAPTERS} | {
        PRETRAINED: "pretrained (given)"
    }
    return described(
        corner, rows | {"real": f"real {'held-out images' if accuracy else 'images (floor)'}"}, columns, values
    )


def pairs(found: Numbers) -> str:
    """What is known of each pair of means by FID: the difference, its interval and the verdict; empty with one training."""
    rows = []
    for captions, (a, b) in itertools.product(CAPTIONS, itertools.combinations(FINE_TUNED, 2)):
        if f"{(key := f'{captions}_{a}_{b}_fid_difference')}_low" in found:
            names = " against ".join(adapter_name(adapter, logit_means(found)) for adapter in (a, b))
            rows.append([CAPTION_NAMES[captions], names, between(found, key), verdict(found, captions, a, b)])
    return table(["captions", "pair", "difference of FID", "the first is"], rows) if rows else ""


def between(found: Numbers, key: str, digits: int = 2) -> str:
    """A number with the ends of its interval where it has one: "+0.10 (−0.42 to +0.62)"."""
    ends = [found[f"{key}_{end}"] for end in ("low", "high") if f"{key}_{end}" in found]
    value, *interval = (signed(f"{number:+.{digits}f}") for number in (found[key], *ends))
    return f"{value} ({' to '.join(interval)})" if interval else value


def blocks(found: Numbers) -> str:
    """The rise of held-out loss without each block, and in brackets its rank, in each way."""
    names = {str(block): f"block {block}" for block in range(int(found.get("blocks", 0)))}

    def with_rank(found: Numbers, key: str) -> str:
        rank = key.replace("_loss", "_rank")
        return f"{value(3)(found, key)} [{found[rank]:g}]" if rank in found else value(3)(found, key)

    return described("without", names, {WAY_NAMES[way]: (f"{way}_{{}}_loss", with_rank) for way in WAYS}, found)


def blocks_tuned(found: Numbers) -> str:
    """What the best blocks by each ranking gain over random ones and over the worst, and what that says."""
    rows = []
    for way in (w for w in WAYS if f"tuned_{w}_verdict" in found):
        keys = [f"tuned_{way}_top_minus_{other}_{m}" for m in ("gain", "fid") for other in ("random", "bottom")]
        rows.append([WAY_NAMES[way], *(between(found, key, 3) for key in keys), str(found[f"tuned_{way}_verdict"])])
    header = ["ranking by", "gain, best − random", "gain, best − worst"]
    header += ["FID, best − random", "FID, best − worst", "the ranking"]
    return table(header, rows) if rows else ""


def densities(found: Numbers) -> str:
    """How each column of the SD3 study reads: its mean, on sigma, its median sigma, and which way it leans."""
    rows = []
    for adapter in FINE_TUNED:
        on_sigma = found[f"{adapter}_logit_mean_on_sigma"]
        lean = "more noise" if on_sigma > 0 else "less noise" if on_sigma < 0 else "in between"
        median = median_sigma(on_sigma, "sigma", found["shift"])
        rows.append([adapter_name(adapter, logit_means(found)), signed(f"{on_sigma:g}"), f"{median:.3f}", lean])
    return table(["column", "mean of logit σ before the shift", "median σ", "trains on"], rows)


def denoising(found: Numbers) -> str:
    """PSNR and SSIM of every denoiser, with the published ones beside."""
    known = published()["denoising"]
    theirs = {f"{m}_published_{k}": known[m][k] for m in METHODS if m in known for k in ("psnr", "ssim")}
    columns = {
        "PSNR, clipped noise": ("{}_clipped_psnr", INTERVAL),
        "SSIM, clipped noise": ("{}_clipped_ssim", SSIM),
        "PSNR, unclipped noise": ("{}_unclipped_psnr", INTERVAL),
        "SSIM, unclipped noise": ("{}_unclipped_ssim", SSIM),
        "published PSNR": ("{}_published_psnr", value(2)),
        "published SSIM": ("{}_published_ssim", value(3)),
    }
    return described("denoiser", METHODS, columns, {**found, **theirs})


def ddpm(found: Numbers) -> str:
    """Scores of every setting of the DDPM series, distances beside those of real images."""

    def distance(found: Numbers, key: str) -> str:
        setting, _, measure = key.rpartition("_")
        real = {"floor": f"{setting}_floor_{measure}", "held out": f"{setting}_held_out_{measure}"}
        beside = [f"{name} {number(found[real[name]])}" for name in real if real[name] in found]
        below = "; **below its floor**" if found.get(f"{setting}_below_floor") and measure == "fid" else ""
        text = value()(found, key)
        return f"{text} ({', '.join(beside)}{below})" if key in found and beside else text

    columns = {
        "PSNR to the image": ("{}_mean_psnr", value(1, unit=" dB")),
        "FID": ("{}_fid", distance),
        "KID": ("{}_kid", distance),
        "precision": ("{}_precision", value(2)),
        "recall": ("{}_recall", value(2)),
        "class accuracy": ("{}_accuracy", PERCENT),
        "of real images": ("{}_real_accuracy", PERCENT),
        "n": ("{}_n", value(0)),
    }
    known = {
        name: column for name, column in columns.items() if any(column[0].format(s) in found for s in SETTING_NAMES)
    }
    return described("setting", SETTING_NAMES, known, found)


def memorisation(found: Numbers) -> str:
    columns = {"median ratio": ("{}_median_ratio", value(2)), "memorised": ("{}_memorised_share", value(0, 100, " %"))}
    return described("setting", SETTING_NAMES, columns, found)


def cold(found: Numbers) -> str:
    """PSNR and SSIM of degraded and restored images."""

    def show(found: Numbers, key: str) -> str:
        return (INTERVAL if key.endswith("psnr") else SSIM)(found, key)

    rows = {f"{d}/{m}": f"{name}, {m.upper()}" for d, name in DEGRADATIONS.items() for m in ("psnr", "ssim")}
    columns = {
        "at half strength": ("{}_degraded_{}", show),
        "restored": ("{}_restored_{}", show),
        "at full strength": ("{}_fully_degraded_{}", show),
        "walked back": ("{}_walked_back_{}", show),
    }
    return described("degradation", rows, columns, found)


def personal(found: Numbers) -> str:
    """Every measure of each method and prior, beside the base; with a published row where DINO and CLIP measure too."""
    rows = {f"{m}_{p}": f"{name}, {PRIORS[p]}" for m, name in PERSONAL_METHODS.items() for p in PRIORS}
    columns = {
        "subject shown": ("{}_subject_accuracy", PERCENT),
        "similarity": ("{}_similarity", value(3)),
        "DINO": ("{}_dino", value(3)),
        "CLIP-I": ("{}_clip_image", value(3)),
        "prompt followed": ("{}_prompt_accuracy", PERCENT),
        "CLIP-T": ("{}_clip_text", value(3)),
        "drift of the class (KID)": ("{}_drift_kid", value(3)),
        "class kept": ("{}_class_correct", PERCENT),
        "diversity": ("{}_diversity", value(3)),
        "memorisation": ("{}_memorisation", value(3)),
    }
    known = {name: c for name, c in columns.items() if c[0].format("base") in found}
    theirs = published()["personal"]
    rows |= {"published": f"published: {theirs['method']}"}
    measured = {f"published_{name}": theirs[name] for name in ("dino", "clip_image", "clip_text")}
    return described("method, prior", {"base": "base, not trained", **rows}, known, {**found, **measured})


def captioning(found: Numbers) -> str:
    """Every measure of every training set, of what was not trained, and as published."""
    rows = MEASURE_NAMES | {"bleu_1_corpus": "BLEU-1 of the corpus", "bleu_2_corpus": "BLEU-2 of the corpus"}
    rows = {measure: name for measure, name in rows.items() if f"{BASELINE}_{measure}" in found}
    columns = {name: (f"{data}_{{}}", value(3)) for data, name in DATA_NAMES.items()}
    theirs = {}
    for i, model in enumerate(published()["captioning"]["models"]):
        columns[f"published: {model['name']}"] = f"published_{i}_{{}}", value(2)
        theirs |= {f"published_{i}_{measure}": model.get(measure.removesuffix("_exact_stem")) for measure in rows}
    return described("measure", {"share": "share of synthetic data"} | rows, columns, {**found, **theirs})


def differences(found: Numbers) -> str:
    """Measure by measure what synthetic data changes, and what its interval says."""
    rows = []
    for measure in (m for m in MEASURE_NAMES if f"{DATA[1]}_{m}_difference" in found):
        row = [MEASURE_NAMES[measure], f"{found[f'{BASELINE}_{measure}']:.3f}"]
        for data in DATA[1:]:
            row += [answer.with_interval(found, data, measure), answer.verdict(found, data, measure)]
        rows.append(row)
    header = [part for data in DATA[1:] for part in (DATA_NAMES[data], "says")]
    return table(["measure", DATA_NAMES[BASELINE], *header], rows)


def by_number_of_originals(found: Numbers) -> str:
    """CIDEr-D by the number of originals, without and with their synthetic pictures, and what one of these is worth."""
    rows = []
    for size in by_originals.sizes_of(found):
        name = f"originals_{size}_{by_originals.MIXED}"
        scores = [f"{found[f'originals_{size}_{data}_{answer.MAIN}']:.3f}" for data in DATA[:2]]
        said = answer.with_interval(found, name, answer.MAIN), answer.verdict(found, name, answer.MAIN)
        rows.append([str(size), *scores, *said, by_originals.worth_text(found, size)])
    header = ["originals", *(DATA_NAMES[data] for data in DATA[:2]), "difference", "says", "one picture is worth"]
    return table(header, rows) if rows else ""


def series(params: Mapping[str, str]) -> str:
    """The deciding values of each setting of the DDPM series, from parameters by their dotted names."""
    rows = [[name, *(params[p.format(setting)] for p in SERIES.values())] for setting, name in SETTING_NAMES.items()]
    return table(["setting", *SERIES], rows)


def made_by(scores: pd.DataFrame) -> str:
    """How the rows of plots/score.csv were made: the values of each setting."""
    scores = scores.query("adapter != 'real'")
    shown = (column for column in MADE_BY if column in scores)
    rows = [[column.replace("_", " "), ", ".join(map(str, scores[column].drop_duplicates()))] for column in shown]
    return table(["setting", "value"], rows, numbers=False)


def anatomy(parts: pd.DataFrame) -> str:
    """The parts of the networks, as plots/anatomy.csv lists them; cells do not break."""
    header = ["setting", "part", "kind", "input", "output", "parameters", "share"]
    shown = parts.fillna({"input": "", "output": ""}).assign(
        setting=parts["setting"].map(SETTING_NAMES),
        parameters=parts["parameters"].map("{:,}".format),
        share=(100 * parts["share"]).map("{:.1f}\N{NO-BREAK SPACE}%".format),
    )
    return table(header, shown[header].replace(" x ", "×", regex=True).to_numpy().tolist(), numbers=False)
