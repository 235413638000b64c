"""What the numbers answer, in sentences that the numbers decide."""

from collections.abc import Mapping

from difflab.metrics.spread import clear_difference
from difflab.report.tables import logit_means, number, percent, with_spread
from difflab.sd3.cells import CAPTION_NAMES, CAPTIONS, FINE_TUNED, adapter_name

Summary = Mapping[str, float]


def answers(summary: Summary) -> list[str]:
    """One sentence for each question of the study that the summary can answer."""
    found = [
        fine_tuning(summary),
        following(summary),
        *(which_mean(summary, c) for c in CAPTIONS),
        captions(summary),
    ]
    return [sentence for sentence in found if sentence]


def fine_tuning(summary: Summary) -> str | None:
    """Does fine-tuning bring the samples nearer to the real images?"""
    ratio = summary.get("largest_fid_ratio_to_pretrained")
    if ratio is None:
        return None
    if ratio >= 1:
        return f"**Fine-tuning does not help everywhere**: one cell has {ratio:.2f} times the pretrained FID."
    return (
        f"**Fine-tuning brings the samples nearer to the real images**: in every cell FID falls, to at most "
        f"{100 * ratio:.0f} % of the pretrained model's."
    )


def following(summary: Summary) -> str | None:
    """Do the samples show what their caption says?"""
    if "lowest_fine_tuned_digit_accuracy" not in summary:
        return None
    lowest = percent(summary, "lowest_fine_tuned_digit_accuracy")
    real = percent(summary, "real_digit_accuracy")
    return (
        f"**Following the caption**: the classifier sees the caption's digit in {lowest} of the samples of "
        f"the worst fine-tuned cell, and in {real} of real held-out images."
    )


def which_mean(summary: Summary, kind: str) -> str | None:
    """Which mean of the density is best, and by more than the spread over generation seeds?"""
    cells = [(summary[f"{a}_{kind}_fid"], a) for a in FINE_TUNED if f"{a}_{kind}_fid" in summary]
    if len(cells) < 2:
        return None
    (best, winner), (second, runner_up), *_ = sorted(cells)
    means = logit_means(summary)
    names = adapter_name(winner, means), adapter_name(runner_up, means)
    spreads = [summary.get(f"{a}_{kind}_fid_std") for a in (winner, runner_up)]
    lead = f"**{CAPTION_NAMES[kind]}: {names[0]} has the lowest FID** ({number(best)}; next {names[1]} with "
    lead += f"{number(second)})"
    if None in spreads:
        return f"{lead}; with one generation seed the difference is not established."
    seeds = int(summary.get("seeds", 2))
    needed = clear_difference(spreads[0], seeds, spreads[1], seeds)
    interval = f"with {seeds} generation seeds it takes {number(needed)} to be clear"
    if second - best > needed:
        return f"{lead}; the difference exceeds the spread over generation seeds ({interval})."
    return f"{lead}; the difference is within the spread over generation seeds ({interval}): not established."


def captions(summary: Summary) -> str | None:
    """Which kind of caption gives the lower FID?"""
    pairs = [(f"{a}_blip2_fid", f"{a}_llama3_fid") for a in FINE_TUNED]
    pairs = [(summary[b], summary[m]) for b, m in pairs if b in summary and m in summary]
    if not pairs:
        return None
    short = sum(b < m for b, m in pairs)
    best = {
        c: min((f"{a}_{c}_fid" for a in FINE_TUNED if f"{a}_{c}_fid" in summary), key=summary.get)
        for c in CAPTIONS
    }
    return (
        f"**Captions**: the short ones have the lower FID in {short} of {len(pairs)} columns; the best of "
        f"each are {with_spread(summary, best['blip2'])} (BLIP-2) and "
        f"{with_spread(summary, best['llama3'])} (Llama 3)."
    )


LIMITS = (
    "One training run for each cell: the spread is over generation seeds and leaves out the noise of "
    "training, so small differences between columns say little about the density itself.",
    "FID depends on n, on the feature network and on the resize rule. Values of different n or networks "
    "do not compare; the distance of other real images at the same n (the floor) says what is reachable.",
    "All columns are compared at one last step and one guidance scale, not each at its own best.",
    "Nothing here measures what people prefer, or whether these samples copy training images (those of the DDPM series "
    "are checked, see below).",
)
MINIATURE_LIMIT = (
    "The miniature's network, images and feature space are its own: its values show that the method "
    "works from end to end, and say nothing about the published model. The published figures stand "
    "beside for their order and shape only."
)
