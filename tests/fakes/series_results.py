"""Everything that the report's sections on the DDPM series read, with plausible values."""

from pathlib import Path

import pandas as pd
from PIL import Image

from difflab.core.base.files import png_bytes, write_bytes, write_csv, write_json
from difflab.ddpm.common.settings import CONDITIONAL, SETTINGS, SINGLE
from difflab.metrics.uncertainty.intervals import with_intervals
from difflab.report.summary import metrics_file

PSNR = {"noisy": 14.8, "tv": 22.1, "nlm": 22.6, "linear": 23.4, "v0": 24.5, "v1": 25.6, "v2": 24.2, "v2_imputed": 25.2}


def around(name: str, value: float, half: float) -> dict[str, float]:
    """A value with the ends of its interval, `half` to either side."""
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def denoise_score() -> dict[str, float]:
    """v0 and v1 have no value for unclipped noise, which they were not trained on."""
    scores: dict[str, float] = {"n": 1017, "sigma": 0.2, "trainings": 2}
    for method, psnr in PSNR.items():
        for noise in ("clipped",) if method in ("v0", "v1", "v2_imputed") else ("clipped", "unclipped"):
            value = psnr - (noise == "unclipped")
            scores |= around(f"{method}_{noise}_psnr", value, 0.08)
            scores |= around(f"{method}_{noise}_ssim", value / 30, 0.004)
    return scores


def ddpm_score() -> dict[str, float]:
    """Two trainings of each setting, a thousandth above and below their mean."""
    scores: dict[str, float] = {}
    cells: dict[str, dict[str, list[float]]] = {}
    for setting in SETTINGS:
        facts: dict[str, float] = {"n": 400, "draws": 1, "trainings": 2}
        if setting in SINGLE:
            facts, means = facts | {"n": 16, "best_psnr": 31.26}, {"mean_psnr": 27.04}
        else:
            facts |= {"floor_fid": 4.04, "floor_kid": -0.0002, "floor_n": 400, "below_floor": 0}
            means = {"fid": 31.4, "kid": 0.0123}
        if setting in CONDITIONAL:
            facts, means = facts | {"real_accuracy": 0.9164}, means | {"accuracy": 0.875}
        scores |= {f"{setting}_{name}": value for name, value in facts.items()}
        for measure, mean in means.items():
            cells.setdefault(measure, {})[setting] = [0.999 * mean, 1.001 * mean]
    for measure, of_measure in cells.items():
        scores |= with_intervals(of_measure, measure)
    return scores


def memorisation() -> dict[str, float]:
    values = {"single_image_32": (0.12, 1.0), "class_conditional": (0.974, 0.005)}
    return {
        f"{setting}_{name}": value
        for setting, row in values.items()
        for name, value in zip(("median_ratio", "memorised_share"), row, strict=True)
    }


def cold() -> dict[str, float]:
    values = {"degraded": 20.1, "restored": 24.3, "fully_degraded": 15.2, "walked_back": 16.7}
    scores: dict[str, float] = {"n": 100, "trainings": 1}
    for name, psnr in values.items():
        scores |= around(f"{name}_psnr", psnr, 0.3)
    return scores


def anatomy() -> pd.DataFrame:
    row = {"kind": "Conv2d", "input": "3 x 32 x 32", "output": "16 x 32 x 32", "parameters": 123456, "share": 0.25}
    rows = [
        {"part": part, "setting": setting} | row for setting in ("class_conditional", "text") for part in ("in", "out")
    ]
    rows[1]["input"] = None  # a class number has no shape
    return pd.DataFrame(rows)


METRICS = {
    "denoise_score": denoise_score(),
    "ddpm_score": ddpm_score(),
    "process": {"n": 64, "half_sigma_band_0": 3.1, "octaves_off": 1.0},
    "memorisation": memorisation(),
    "cold@blur": cold(),
    "cold@mask": cold(),
}
PICTURES = (
    "plots/grids/denoise.png",
    *(f"plots/ddpm_sample/{setting}/{name}.png" for setting in SETTINGS for name in ("samples", "process")),
    "plots/process.png",
    "plots/attention.png",
    "plots/memorisation.png",
    "plots/cold/blur.png",
    "plots/cold/mask.png",
)


def write_series_inputs(root: Path) -> None:
    """Metrics, tables and pictures of every stage of the DDPM series, below `root`."""
    for stage, values in METRICS.items():
        write_json(root / metrics_file(stage), values)
    write_csv(root / "plots/anatomy.csv", anatomy(), gaps=["input", "output"])
    for path in PICTURES:
        write_bytes(root / path, png_bytes(Image.new("RGB", (4, 4))))
