"""The report's sections on the DDPM series: denoisers, settings, the way from noise to image, memory, cold diffusion."""

from collections.abc import Mapping
from pathlib import Path

from difflab.ddpm.settings import CONDITIONAL, SETTING_NAMES, SETTINGS, SINGLE
from difflab.report.document import Block, Picture, Section, Table, Text, markdown_table
from difflab.report.inputs import Inputs
from difflab.report.published import published
from difflab.report.tables import ABSENT, number

METHODS = {
    "noisy": "noisy input",
    "tv": "total variation",
    "nlm": "non-local means",
    "linear": "best linear denoiser",
    "v0": "v0: network, stopped early",
    "v1": "v1: network",
    "v2": "v2: diffusion model at the matching timestep",
    "v2_uncut": "v2, after what the cut took away is put back",
}
PICTURED = (
    "linear",
    "nlm",
    "tv",
    "v0",
    "v1",
    "v2",
    "v2_uncut",
)  # rows of the picture of `denoise_score`, in its order


def sections(inputs: Inputs) -> list[Section]:
    """What there is; absent inputs are noted in `inputs.missing`."""
    return [
        Section("Denoising", denoising(inputs)),
        Section("The DDPM series", series(inputs)),
        Section("What appears first", process(inputs)),
        Section("Do samples copy training images?", memorisation(inputs)),
        Section("Cold diffusion", cold(inputs)),
    ]


def results_tables(summary: Mapping[str, float]) -> str:
    """Denoisers and settings as Markdown, for the README; empty where the DDPM series was not run."""
    parts = []
    for stage, title, table in (
        ("denoise_score_", "Denoising: PSNR in dB and SSIM on test images", denoising_table),
        ("ddpm_score_", "Pixel and latent diffusion, from one image to prompts", series_table),
    ):
        found = {k.removeprefix(stage): v for k, v in summary.items() if k.startswith(stage)}
        if found:
            parts.append(f"{title}:\n\n{markdown_table(table(found))}\n")
    return "\n".join(parts)


def denoising(inputs: Inputs) -> list[Block]:
    found = inputs.metrics("denoise_score")
    if not found:
        return []
    known = published()["denoising"]
    text = (
        f"Gaussian noise of standard deviation {found['sigma']:g} on images in [0, 1], cut to that range "
        f"(clipped) or not. Mean over {found['n']:g} test images with its 95 % interval. The published "
        f"figures ({known['source']}) were measured on {known['n']} training images with clipped noise."
    )
    blocks: list[Block] = [Text(text), denoising_table(found)]
    noise = "clipped" if "v1_clipped_psnr" in found else "unclipped"  # what v0 and v1 were trained on
    caption = "Test images; from the top: clean, noisy, then " + ", ".join(
        m for m in PICTURED if f"{m}_{noise}_psnr" in found
    )
    return blocks + _picture(inputs, "plots/grids/denoise.png", "denoise_score", caption)


def denoising_table(found: Mapping[str, float]) -> Table:
    """PSNR and SSIM of every denoiser, from the metrics of `denoise_score`, with the published ones beside."""
    known = published()["denoising"]
    rows = []
    for method, name in METHODS.items():
        row = [name]
        for noise in ("clipped", "unclipped"):
            for measure in ("psnr", "ssim"):
                row.append(_with_interval(found, f"{method}_{noise}_{measure}"))
        row += [f"{known[method][m]:g}" if method in known else ABSENT for m in ("psnr", "ssim")]
        rows.append(row)
    header = [
        "denoiser",
        "PSNR, clipped noise",
        "SSIM",
        "PSNR, unclipped noise",
        "SSIM",
        "published PSNR",
        "SSIM",
    ]
    return Table(header, rows)


def series(inputs: Inputs) -> list[Block]:
    found = inputs.metrics("ddpm_score")
    if not found:
        return []
    text = (
        "From one image to a model that reads prompts, each with n samples. A model of one image is scored by the PSNR "
        "of its samples to that image. FID and KID compare with the training images, in the 64 features of a ResNet-20 "
        "whose scale is its own, so they compare with their floor only: that of n held-out images, absent where there "
        "are fewer. `class right` is the share of samples that the same network takes for what was asked for, beside "
        "the share of real test images that it names rightly: samples can be easier than these."
    )
    blocks: list[Block] = [Text(text), series_table(found)]
    for setting in SETTINGS:
        name = SETTING_NAMES[setting]
        blocks += _picture(inputs, f"plots/ddpm/{setting}.png", f"ddpm_sample@{setting}", f"Samples: {name}")
        strip = f"The model's estimate of the final image on the way: most noise on the left, none on the right: {name}"
        blocks += _picture(inputs, f"plots/ddpm/{setting}-process.png", f"ddpm_sample@{setting}", strip)
    return blocks


def series_table(found: Mapping[str, float]) -> Table:
    """Scores of every setting, from the metrics of `ddpm_score`."""
    rows = []
    for setting in SETTINGS:
        value = {k.removeprefix(f"{setting}_"): v for k, v in found.items() if k.startswith(f"{setting}_")}
        if setting in SINGLE:
            score = f"best {value['best_psnr']:.1f} dB, mean {value['mean_psnr']:.1f} dB to the image"
            rows.append([SETTING_NAMES[setting], score, ABSENT, ABSENT, ABSENT, f"{value['n']:g}"])
            continue
        accuracy = real = ABSENT
        if setting in CONDITIONAL:
            accuracy, real = (f"{100 * value[k]:.1f} %" for k in ("accuracy", "real_accuracy"))
        floors = (
            ("fid", "kid") if value["floor_n"] == value["n"] else ()
        )  # fewer real images: no floor for this n
        distance, kid = (
            number(value[name]) + (f" (floor {number(value[f'floor_{name}'])})" if name in floors else "")
            for name in ("fid", "kid")
        )
        rows.append([SETTING_NAMES[setting], f"FID {distance}", kid, accuracy, real, f"{value['n']:g}"])
    header = ["setting", "score", "KID", "class right", "in real images", "n"]
    return Table(header, rows)


def process(inputs: Inputs) -> list[Block]:
    found = inputs.metrics("process")
    if not found:
        return []
    halves = [found[key] for n in range(99) if (key := f"half_sigma_band_{n}") in found]
    order = "Coarse structure appears first, at high noise, and detail last."
    if halves != sorted(halves, reverse=True):
        order = "In this run the order of the bands is not that of their frequencies."
    text = (
        f"{order} The left panel shows how much of {found['n']:g} held-out images the model finds in their noisy "
        "versions, by noise and band of spatial frequency, the right one how much of its own samples is decided on "
        "their way, both around the mean of the class. The lines are the closed form for Gaussian data with the "
        "spectrum of the training images, which is also what the best linear denoiser finds. On held-out images the "
        f"noise at which half of a band is found differs from it by a factor of {2 ** found['octaves_off']:.2g} "
        "(geometric mean over the bands; one of which half is never found counts at the lowest noise). "
        "On the way of samples a model decides early what it adds by itself, such as "
        "the grid of the patches that it works on: the nearer it comes to the data, the nearer the points come to the "
        "lines."
    )
    blocks: list[Block] = [Text(text)]
    blocks += _picture(inputs, "plots/process.png", "process", "What is there, by noise and frequency", False)
    caption = "Samples, and where each word of their prompt acts: cross-attention, mean over layers and steps"
    blocks += _picture(inputs, "plots/attention.png", "process", caption, False)
    anatomy = inputs.table("plots/anatomy.csv", "process")
    if anatomy is not None:
        rows = [
            [
                r.setting,
                r.part,
                r.kind,
                str(r.input),
                str(r.output),
                f"{r.parameters:,}",
                f"{100 * r.share:.1f} %",
            ]
            for r in anatomy.fillna("").itertuples()
        ]
        header = ["model", "part", "kind", "input", "output", "parameters", "share"]
        blocks += [Text("What the networks are made of:"), Table(header, rows, numbers=False)]
    return blocks


def memorisation(inputs: Inputs) -> list[Block]:
    found = inputs.metrics("memorisation")
    if not found:
        return []
    settings = [setting for setting in SETTINGS if f"{setting}_median_ratio" in found]
    rows = [
        [SETTING_NAMES[r], f"{found[f'{r}_median_ratio']:.2f}", f"{100 * found[f'{r}_copied_share']:.0f} %"]
        for r in settings
    ]
    text = (
        "The distance of each sample to its nearest training image over that to its nearest held-out image, of "
        "equally many (one image: of one other): 1 without memory. A sample at less than half the distance counts as a "
        "copy. A flat sample is near to every flat image of its colour: look at the closest pairs before calling it one."
    )
    blocks: list[Block] = [Text(text), Table(["model", "median ratio", "copies"], rows)]
    names = "; ".join(SETTING_NAMES[r] for r in settings)
    caption = f"The closest pairs, sample then nearest training image, a row for each model: {names}"
    return blocks + _picture(inputs, "plots/memorisation.png", "memorisation", caption)


def cold(inputs: Inputs) -> list[Block]:
    rows: list[list[str]] = []
    pictures: list[Block] = []
    for name in ("blur", "mask"):
        found = inputs.metrics(f"cold@{name}")
        if found:
            keys = ("degraded", "restored", "fully_degraded", "walked_back")
            rows += [
                [f"{name}, {label}", *(_with_interval(found, f"{key}_{measure}") for key in keys)]
                for measure, label in (("psnr", "PSNR"), ("ssim", "SSIM"))
            ]
            caption = f"{name}: clean, half degraded, restored, fully degraded, walked back"
            pictures += _picture(inputs, f"plots/cold/{name}.png", f"cold@{name}", caption)
    if not rows:
        return []
    text = (
        "Blur and masking in place of noise, behind the same trainer. PSNR in dB and SSIM on test images. At half "
        "strength the network restores in one step; from full strength it walks back in steps. A full mask leaves nothing "
        "of an image: what comes back is a mean of all images, whose PSNR cannot rise by much."
    )
    header = ["degradation", "at half strength", "restored", "at full strength", "walked back"]
    return [Text(text), Table(header, rows), *pictures]


def _with_interval(found: Mapping[str, float], key: str) -> str:
    if key not in found:
        return ABSENT
    digits = 2 if key.endswith("psnr") else 3
    return f"{found[key]:.{digits}f} ± {found[f'{key}_ci95']:.{digits}f}"


def _picture(inputs: Inputs, path: str, stage: str, caption: str, pixels: bool = True) -> list[Block]:
    found: Path | None = inputs.picture(path, stage)
    return [] if found is None else [Picture(found, caption, pixels=pixels)]
