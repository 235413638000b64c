"""The tables of the studies, described."""

from collections.abc import Mapping

from difflab.captioning import answer
from difflab.captioning.answer import BASELINE, DATA, INSTRUCT, MEASURE_NAMES, ZERO_SHOT
from difflab.ddpm.settings import SETTING_NAMES
from difflab.report.findings import DEGRADATIONS, METHODS, logit_means
from difflab.report.markdown import table
from difflab.report.published import published, published_fid
from difflab.report.tables import ABSENT, Column, beside, described, number, percent, plain, spread
from difflab.sd3.cells import ADAPTERS, CAPTION_NAMES, CAPTIONS, FINE_TUNED, adapter_name, median_sigma, signed

Numbers = Mapping[str, float]
DATA_NAMES = {
    BASELINE: "originals only",
    "mixed": "originals and synthetic",
    "synthetic": "synthetic only",
    ZERO_SHOT: "not trained",
    INSTRUCT: "instruction model",
}
CORPUS_NAMES = {"bleu_1_corpus": "BLEU-1 of the corpus", "bleu_2_corpus": "BLEU-2 of the corpus"}
CLASSES = {"digit_accuracy": "digit, ", "photo_accuracy": "photograph, "}
MEASURES = (
    "images_celeba_hq_present", "images_celeba_kept",
    "models_vision_encoder_digit_accuracy", "models_vision_encoder_photo_accuracy", "models_vae_psnr",
    "models_blip2_digit_accuracy", "models_blip2_photo_accuracy", "models_llama_facts_kept", "models_transformer_val_loss",
    "models_classifier_cifar10_accuracy", "models_classifier_mnist_accuracy", "models_image_vae_psnr",
    "sd3_captions_blip2_n_unique", "sd3_captions_blip2_digit_accuracy_held_out",
    "sd3_captions_blip2_photo_accuracy_held_out",
    "sd3_captions_llama3_n_unique", "sd3_captions_llama3_facts_kept", "sd3_captions_llama3_captions_complete",
    "sd3_captions_llama3_contradictory", "sd3_latents_bytes_per_image", "sd3_prompts_rows",
)  # fmt: skip
"""The numbers that say whether data, captions and models are sound; `dvc metrics show` prints all of them."""


def cells(found: Numbers, corner: str, *measures: str, scale: float = 1) -> str:
    """Measures of every cell of the SD3 study and of real images, a column for each measure and kind of captions."""
    show = percent() if measures[0].endswith("accuracy") else spread(scale)
    columns = []
    for measure in measures:
        real_values = {
            f"real_{c}_{measure}": found[k]
            for c in CAPTIONS
            for k in (f"floor_{measure}", f"real_{measure}")
            if k in found
        }
        found = {**found, **real_values}
        lead = CLASSES.get(measure, "")
        columns += [Column(lead + name, f"{{}}_{c}_{measure}", show) for c, name in CAPTION_NAMES.items()]
    if measures == ("fid",):
        for captions, name in CAPTION_NAMES.items():
            known = {a: published_fid(captions, found.get(f"{a}_logit_mean_on_sigma")) for a in ADAPTERS}
            shown = {f"{a}_{captions}_published": value for a, value in known.items() if value is not None}
            found = {**found, **shown}
            columns.append(Column(f"published, {name}", f"{{}}_{captions}_published", plain("{:.1f}")))
    real = "real held-out images" if measures[0].endswith("accuracy") else "real images (floor)"
    means = logit_means(found)
    rows = {a: adapter_name(a, means) for a in ADAPTERS} | {"real": real}
    return described(corner, rows, columns, found)


def densities(found: Numbers) -> str:
    """How each column of the SD3 study reads: its mean, on sigma, its median sigma, and which way it leans."""
    means = logit_means(found)
    rows = []
    for adapter in FINE_TUNED:
        on_sigma = found[f"{adapter}_logit_mean_on_sigma"]
        lean = "more noise" if on_sigma > 0 else "less noise" if on_sigma < 0 else "in between"
        median = median_sigma(on_sigma, "sigma", found["shift"])
        rows.append([adapter_name(adapter, means), signed(on_sigma), f"{median:.3f}", lean])
    return table(["column", "mean of logit σ before the shift", "median σ", "trains on"], rows)


def denoising(found: Numbers) -> str:
    """PSNR and SSIM of every denoiser, with the published ones beside."""
    known = published()["denoising"]
    beside_them = {f"{m}_published_{k}": known[m][k] for m in METHODS if m in known for k in ("psnr", "ssim")}
    found = {**found, **beside_them}
    columns = [
        Column("PSNR, clipped noise", "{}_clipped_psnr", beside("_ci95", 2)),
        Column("SSIM", "{}_clipped_ssim", beside("_ci95", 3)),
        Column("PSNR, unclipped noise", "{}_unclipped_psnr", beside("_ci95", 2)),
        Column("SSIM", "{}_unclipped_ssim", beside("_ci95", 3)),
        Column("published PSNR", "{}_published_psnr", plain("{:.2f}")),
        Column("published SSIM", "{}_published_ssim", plain("{:.3f}")),
    ]
    return described("denoiser", METHODS, columns, found)


def ddpm(found: Numbers) -> str:
    """Scores of every setting of the DDPM series."""

    def distance(found: Numbers, key: str) -> str:
        if key not in found:
            return ABSENT
        setting, _, measure = key.rpartition("_")
        text = number(found[key])
        if found[f"{setting}_floor_n"] < found[f"{setting}_n"]:  # fewer real images: no floor for this n
            return text
        return f"{text} (floor {number(found[f'{setting}_floor_{measure}'])})"

    columns = [
        Column("best PSNR to the image", "{}_best_psnr", plain("{:.1f} dB")),
        Column("FID", "{}_fid", distance),
        Column("KID", "{}_kid", distance),
        Column("class accuracy", "{}_accuracy", percent()),
        Column("of real images", "{}_real_accuracy", percent()),
        Column("n", "{}_n", plain("{:g}")),
    ]
    return described("setting", SETTING_NAMES, columns, found)


def memorisation(found: Numbers) -> str:
    columns = [
        Column("median ratio", "{}_median_ratio", plain("{:.2f}")),
        Column("memorised", "{}_memorised_share", percent(0)),
    ]
    return described("setting", SETTING_NAMES, columns, found)


def cold(found: Numbers) -> str:
    """PSNR of degraded and restored images; keys `<degradation>_<step>_psnr`."""
    steps = {
        "degraded": "at half strength",
        "restored": "restored",
        "fully_degraded": "at full strength",
        "walked_back": "walked back",
    }
    rows = {
        f"{key}_{{}}_{measure}": f"{name}, {measure.upper()}"
        for key, name in DEGRADATIONS.items()
        for measure in ("psnr", "ssim")
    }

    def show(found: Numbers, key: str) -> str:
        return beside("_ci95", 2 if key.endswith("psnr") else 3)(found, key)

    body = [[name, *(show(found, row.format(step)) for step in steps)] for row, name in rows.items()]
    return table(["degradation", *steps.values()], [row for row in body if set(row[1:]) != {ABSENT}])


def captioning(found: Numbers) -> str:
    """Every measure of every training set, of what was not trained, and as published."""
    models = published()["captioning"]["models"]
    measures = MEASURE_NAMES | CORPUS_NAMES
    beside_them = {
        f"published_{i}_{m}": model[k]
        for i, model in enumerate(models)
        for m in measures
        if (k := m.removesuffix("_exact_stem")) in model
    }
    found = {**found, **beside_them}
    columns = [Column(name, f"{data}_{{}}", beside("_std", 3)) for data, name in DATA_NAMES.items()]
    columns += [
        Column(f"published: {model['name']}", f"published_{i}_{{}}", plain("{:.2f}")) for i, model in enumerate(models)
    ]
    rows = {m: name for m, name in measures.items() if f"{BASELINE}_{m}" in found}
    return described("measure", {"share": "share of synthetic data"} | rows, columns, found)


def differences(found: Numbers) -> str:
    """Measure by measure what synthetic data changes, and what its interval says."""
    header = ["measure", DATA_NAMES[BASELINE]]
    for data in DATA[1:]:
        header += [DATA_NAMES[data], "says"]
    rows = []
    for measure in (m for m in MEASURE_NAMES if f"{DATA[1]}_{m}_difference" in found):
        row = [MEASURE_NAMES[measure], f"{found[f'{BASELINE}_{measure}']:.3f}"]
        for data in DATA[1:]:
            row += [answer.with_interval(found, data, measure), answer.verdict(found, data, measure)]
        rows.append(row)
    return table(header, rows)


def measures(summary: Numbers) -> str:
    """The numbers of data, captions and models, as they are named in metrics/summary.json."""
    rows = [[f"`{name}`", f"{summary[name]:.4g}"] for name in MEASURES if name in summary]
    return table(["measure", "value"], rows)
