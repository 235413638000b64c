"""What the numbers answer, for each study, in sentences that the numbers decide.

Each function takes the numbers of its study by their short names (`summary.part`).
"""

import itertools

from difflab.ddpm.common.settings import CONDITIONAL, SETTING_NAMES, SETTINGS, SINGLE
from difflab.personal.cells import METHODS as PERSONAL_METHODS
from difflab.personal.cells import PRIORS
from difflab.report.summary import kinds_of
from difflab.report.tables import Numbers, number, signed, value
from difflab.sd3.artifacts.cells import CAPTION_NAMES, FINE_TUNED, adapter_name
from difflab.sd3.blocks.ways import MEAN, PREDICTS, WAY_NAMES, WAYS

METHODS = {
    "noisy": "noisy input",
    "tv": "total variation",
    "nlm": "non-local means",
    "linear": "best linear denoiser",
    "v0": "network, stopped early (v0)",
    "v1": "network (v1)",
    "v2": "diffusion model at the matching timestep (v2)",
    "v2_imputed": "v2, clipped pixels imputed",
}
"""The denoisers, from no method at all to networks."""
CLASSICAL = {"tv", "nlm", "linear"}
SAYS = {"better": "better than", "worse": "worse than", "equal": "equal to", "open": "not clearly better than"}
TURNED = {"better": "worse", "worse": "better", "equal": "equal", "open": "open"}
DEGRADATIONS = {"blur": "Blur", "mask": "Masking"}
DRIFTS = {"better": "less", "worse": "more", "equal": "equally", "open": "not clearly less"}
PERCENT, INTERVAL, SSIM, PSNR = value(1, 100, " %"), value(2), value(3), value(1, unit=" dB")


def sd3(found: Numbers) -> list[str]:
    """Does fine-tuning help, do samples show their caption, which mean and which captions are best?"""
    sentences = [
        fine_tuning(found),
        following(found),
        *(which_mean(found, c) for c in kinds_of(found)),
        captions(found),
    ]
    return [sentence for sentence in sentences if sentence]


def fine_tuning(found: Numbers) -> str:
    ratio = found.get("largest_fid_ratio_to_pretrained")
    if ratio is None:
        return ""
    if ratio >= 1:
        return f"**Fine-tuning does not help everywhere**: one cell has {ratio:.2f} times the pretrained FID."
    return (
        "**Fine-tuning brings the samples nearer to the real images**: FID falls in every cell, to at most "
        f"{100 * ratio:.0f} % of the pretrained model's."
    )


def following(found: Numbers) -> str:
    if "lowest_fine_tuned_digit_accuracy" not in found:
        return ""
    lowest, real = (PERCENT(found, f"{k}_digit_accuracy") for k in ("lowest_fine_tuned", "real"))
    return (
        f"**The samples follow their captions**: the digit is correct in {lowest} of the samples of the worst "
        f"fine-tuned cell, and in {real} of real held-out images."
    )


def which_mean(found: Numbers, kind: str) -> str:
    """Which mean of the density is best, and what is known of the others beside it?"""
    cells = sorted((found[k], a) for a in FINE_TUNED if (k := f"{a}_{kind}_fid") in found)
    if len(cells) < 2:
        return ""
    (_, best), *others = cells
    means = logit_means(found)
    lead = f"**{CAPTION_NAMES[kind]}: {adapter_name(best, means)} has the lowest FID**"
    lead += f" ({value()(found, f'{best}_{kind}_fid')})"
    told = [(adapter_name(other, means), verdict(found, kind, best, other)) for _, other in others]
    if not all(said for _, said in told):
        return f"{lead}; with one training of each the differences are not established."
    return f"{lead}; it is " + ", ".join(f"{SAYS[said]} {name}" for name, said in told) + margin(found) + "."


def verdict(found: Numbers, kind: str, a: str, b: str) -> str:
    """What is known of `a` beside `b` by FID: "better", "worse", "equal" or "open"; empty with one training."""
    said = str(found.get(f"{kind}_{a}_{b}_fid_verdict", ""))
    return said or TURNED.get(str(found.get(f"{kind}_{b}_{a}_fid_verdict", "")), "")


def margin(found: Numbers) -> str:
    """How large a difference counts as none."""
    return f" (equal: within {100 * found['margin']:g} %)" if "margin" in found else ""


def captions(found: Numbers) -> str:
    """Which kind of caption gives the lowest FID?"""
    kinds = kinds_of(found)
    columns = [a for a in FINE_TUNED if all(f"{a}_{c}_fid" in found for c in kinds)]
    if not columns:
        return ""
    lowest = [min(kinds, key=lambda c: found[f"{a}_{c}_fid"]) for a in columns]
    first = max(kinds, key=lowest.count)
    best = [
        f"{value()(found, min((f'{a}_{c}_fid' for a in columns), key=found.__getitem__))} ({CAPTION_NAMES[c]})"
        for c in kinds
    ]
    return (
        f"**{CAPTION_NAMES[first]} have the lowest FID in {lowest.count(first)} of {len(columns)} columns**; the best of "
        f"each kind are {' and '.join(best)}."
    )


def blocks(found: Numbers) -> list[str]:
    """Which blocks matter by each way to take one away, whether the ways agree, and whether that predicts tuning."""
    count = int(found.get("blocks", 0))
    first = {w: [b for b in range(count) if found.get(f"{w}_{b}_rank") == 1] for w in WAYS}
    if not all(first.values()):
        return []
    if len({chosen[0] for chosen in first.values()}) == 1:
        sentences = [f"**Block {first[MEAN][0]} matters most**, by every way to take one away."]
    else:
        names = ", ".join(f"{WAY_NAMES[way]} {chosen[0]}" for way, chosen in first.items())
        sentences = [f"**Which block matters most depends on how it is taken away**: {names}."]
    pairs = [(a, b) for a, b in itertools.combinations(WAYS, 2) if f"{a}_{b}_tau" in found]
    if differ := [(a, b) for a, b in pairs if found[f"{a}_{b}_tau"] < 1]:
        a, b = min(differ, key=lambda pair: found[f"{pair[0]}_{pair[1]}_tau"])
        tau = signed(f"{found[f'{a}_{b}_tau']:.2f}")
        sentences.append(
            f"**The ways do not give one order**: {len(differ)} of {len(pairs)} pairs differ, {WAY_NAMES[a]} and "
            f"{WAY_NAMES[b]} most (Kendall's τ {tau})."
        )
    told = {way: str(found.get(f"tuned_{way}_verdict", "")) for way in WAYS}
    if set(told.values()) == {PREDICTS}:
        sentences.append("**Every ranking predicts tuning**: its best blocks gain more held-out loss than random ones.")
    elif all(told.values()):
        said = ", ".join(f"{WAY_NAMES[way]}: {verdict}" for way, verdict in told.items())
        sentences.append(f"**Not every ranking predicts** that its best blocks gain more than random ones ({said}).")
    return sentences


def trained_noise(found: Numbers) -> str:
    """The noise that the networks of the denoising study were trained on: "clipped" or "unclipped"."""
    return "clipped" if "v1_clipped_psnr" in found else "unclipped"


def denoising(found: Numbers) -> list[str]:
    """Which denoiser is best, by how much, and what clipping costs a diffusion model."""
    noise = trained_noise(found)
    psnr = {m: found[k] for m in METHODS if m != "noisy" and (k := f"{m}_{noise}_psnr") in found}
    shown = {method: f"{INTERVAL(found, f'{method}_{noise}_psnr')} dB" for method in psnr}
    if not psnr.keys() & CLASSICAL:
        return []
    best, classical = (max(names, key=psnr.__getitem__) for names in (psnr, psnr.keys() & CLASSICAL))
    sentences = [
        f"**Best denoiser: {METHODS[best]}**, {shown[best]} on {noise} noise, against {shown[classical]} of the "
        f"best classical method ({METHODS[classical]})."
    ]
    if "v2_imputed" in psnr:
        sentences.append(
            f"**A diffusion model expects unclipped noise**: {shown['v2']} on clipped noise, "
            f"{shown['v2_imputed']} with clipped pixels imputed."
        )
    return sentences


def ddpm(found: Numbers) -> list[str]:
    """How well one image is learnt, and whether samples show what they are asked for."""
    sentences = []
    if single := [f"{PSNR(found, k)} ({SETTING_NAMES[s]})" for s in SINGLE if (k := f"{s}_mean_psnr") in found]:
        sentences.append(f"**A model of one image reproduces it**: {', '.join(single)}.")
    if below := [SETTING_NAMES[s] for s in SETTINGS if found.get(f"{s}_below_floor")]:
        sentences.append(
            f"**Nearer to the training images than real images are**: {', '.join(below)}; look for copies."
        )
    asked = [
        f"{SETTING_NAMES[s]} {PERCENT(found, k)} (real test images {100 * found[f'{s}_real_accuracy']:.1f} %)"
        for s in CONDITIONAL
        if (k := f"{s}_accuracy") in found
    ]
    if asked:
        sentences.append(f"**Samples show what is asked for**, by their class accuracy: {'; '.join(asked)}.")
    return sentences


def process(found: Numbers) -> list[str]:
    """In which order structure appears."""
    halves = [found[key] for band in range(99) if (key := f"half_sigma_band_{band}") in found]  # the coarsest first
    if not halves:
        return []
    order = "**The bands do not appear in the order of their frequencies** in this run"
    if halves == sorted(halves, reverse=True):
        order = "**Coarse structure appears first**, at high noise, and detail last"
    return [
        f"{order}: half of the coarsest band is found at σ = {number(halves[0])}, half of the finest at or "
        f"below {number(halves[-1])}."
    ]


def memorisation(found: Numbers) -> list[str]:
    """Which models copy."""
    keys = {setting: f"{setting}_memorised_share" for setting in SETTINGS}
    shares = [f"{100 * found[key]:.0f} % ({SETTING_NAMES[s]})" for s, key in keys.items() if key in found]
    return [f"**Share of memorised samples**: {', '.join(shares)}."] if shares else []


def cold(found: Numbers) -> list[str]:
    """What is restored of images that were degraded without noise."""
    sentences = []
    for key, name in DEGRADATIONS.items():
        steps = [f"{key}_{step}_psnr" for step in ("degraded", "restored", "fully_degraded", "walked_back")]
        if found.keys() >= set(steps):
            half, restored, full, back = (f"{found[step]:.1f}" for step in steps)
            sentences.append(
                f"**{name}**: one step from half strength takes {half} to {restored} dB, walking back from full "
                f"strength {full} to {back} dB."
            )
    return sentences


def personal(found: Numbers) -> list[str]:
    """Which method teaches a subject, how many steps and pictures it takes, and whether a prior helps."""
    cells = {
        (m, p): f"{m}_{p}" for m in PERSONAL_METHODS for p in PRIORS if f"{m}_{p}_subject_accuracy" in found
    }  # fmt: skip
    if not cells:
        return unjudged(found)
    (method, prior), best = max(cells.items(), key=lambda item: found[f"{item[1]}_subject_accuracy"])
    shown, before = (PERCENT(found, f"{cell}_subject_accuracy") for cell in (best, "base"))
    sentences = [
        f"**Method: {PERSONAL_METHODS[method]}, {PRIORS[prior]}** shows the subject most often, in {shown} of pictures of "
        f"new prompts; the base does in {before}."
    ]
    for axis, noun in (("steps", "Steps"), ("pictures", "Pictures")):
        if points := points_of(found, axis):
            told = ", ".join(f"{PERCENT(found, f'{axis}_{n}_subject_accuracy')} ({n})" for n in points)
            sentences.append(f"**{noun}**: the subject shows in {told}.")
    return [*sentences, *unjudged(found), *priors(found)]


def unjudged(found: Numbers) -> list[str]:
    """What the few-image study leaves without a figure, and why."""
    if "judge_accuracy" not in found:
        return []
    sentences = []
    if "base_subject_accuracy" not in found:
        sentences.append(
            "**Whether the subject shows is not judged**, nor whether pictures are copied: of the subjects' own pictures "
            f"the judge names {found['judge_accuracy']:.0%} rightly, too few to believe it."
        )
    if "base_drift_kid" not in found:
        sentences.append("**The drift of the class word is not judged**: the base has never met the class words.")
    return sentences


def points_of(found: Numbers, axis: str) -> list[int]:
    """The points at which a curve of the few-image study was measured, ascending."""
    start, end = f"{axis}_", "_subject_accuracy"
    return sorted(int(n) for key in found if key.startswith(start) and key.endswith(end)
                  and (n := key[len(start) : -len(end)]).isdigit())  # fmt: skip


def priors(found: Numbers) -> list[str]:
    """Does a prior keep what the class word means?"""
    sentences = []
    for a, b in (("images", "none"), ("output", "none"), ("images", "output")):
        if verdict := str(found.get(f"{a}_{b}_drift_verdict", "")):
            change = INTERVAL(found, f"{a}_{b}_drift_difference")
            sentences.append(
                f"**Prior, {PRIORS[a]}**: the class word drifts {DRIFTS[verdict]} {'as' if verdict == 'equal' else 'than'} "
                f"with {PRIORS[b]}, {change} in KID over methods and subjects."
            )
    return sentences


def logit_means(found: Numbers) -> dict[str, float]:
    """The mean of each column, from the numbers of the SD3 study."""
    return {a: found[f"{a}_logit_mean"] for a in FINE_TUNED}
