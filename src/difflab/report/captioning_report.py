"""The report's part on captioning: does synthetic data help? Two tables, a plot, and the answer."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from difflab.captioning import answer
from difflab.captioning.answer import BASELINE, DATA, INSTRUCT, MEASURE_NAMES, ZERO_SHOT
from difflab.report.captioning_plot import by_share
from difflab.report.document import Block, Bullets, Picture, Table, Text, markdown_table
from difflab.report.inputs import Inputs
from difflab.report.published import published
from difflab.report.style import Theme
from difflab.report.tables import ABSENT

DATA_NAMES = {
    BASELINE: "originals only",
    "mixed": "originals and synthetic",
    "synthetic": "synthetic only",
    ZERO_SHOT: "not trained",
    INSTRUCT: "instruction model, other titles",
}
CORPUS_NAMES = {"bleu_1_corpus": "BLEU-1 of the corpus", "bleu_2_corpus": "BLEU-2 of the corpus"}
RUNS = "plots/captioner/scores.csv"
SHEET = "plots/synthetic.png"
GRID = "plots/sweep.png"
PREFIX = "caption_score_"  # of its metrics in the summary

Draw = Callable[[str, str, Callable[[Theme], Figure]], Picture]
NOTE = (
    "All training sets get equally many steps, and all captions are of test originals that no synthetic picture was made "
    "from. Difference to originals only, paired by seed and by test image; its 95 % interval counts seeds and images as "
    "samples (pigeonhole bootstrap). Each interval stands for one comparison: the measures look at the same captions, so "
    "several of them on one side are not several proofs."
)


def blocks(inputs: Inputs, picture: Draw) -> list[Block]:
    """The section's blocks; none where `caption_score` has not run.

    Args:
        picture: saves a figure under a name, with a caption, for light and dark pages.
    """
    found = inputs.metrics("caption_score")
    if not found:
        return []
    made: list[Block] = [Bullets(answer.sentences(found)), *training_data(inputs)]
    made += [results_table(found), Text(published_note()), Text(NOTE), differences_table(found)]
    runs = inputs.table(RUNS, "caption_score")
    caption = (
        "Each measure against the share of synthetic data in the training set. Small dots: seeds; large: their mean, with "
        "the 95 % interval of its difference to originals only (dashed): a bar that does not reach the dashed line is a "
        "clear difference."
    )
    if runs is not None:
        made.append(picture("captions_by_share", caption, lambda theme: by_share(theme, found, runs)))
    return made


def training_data(inputs: Inputs) -> list[Block]:
    """How the synthetic data was made and kept apart from the test images."""
    titles, mix = inputs.metrics("vary_titles"), inputs.metrics("mix")
    lines = []
    if titles:
        lines.append(
            f"A chat model wrote three variations of {titles['varied']:,} of {titles['n']:,} titles "
            f"({titles['quarantined']:,} in quarantine); a diffusion model made an image for each."
        )
    if mix:
        lines.append(
            f"Trained on {mix['train_original']:,} originals and {mix['train_synthetic']:,} synthetic images, the best "
            f"step chosen on {mix['val_original']:,} and {mix['val_synthetic']:,}, tested on {mix['test_original']:,} "
            f"originals. Test images with a relative in training or validation: {mix['leaks']:,}. In the reference's order "
            f"of steps, where variations are made before the split, it would be {mix['leaks_reference_order']:,} of "
            f"{mix['test_reference_order']:,}."
        )
    if inputs.metrics("zoo_vision_encoder").get("trained"):
        lines.append(
            "The frozen image encoder learnt classes from most of the digits that the test pictures show, so the scores "
            "are not those of digits it never saw; all training sets have the same encoder."
        )
    blocks: list[Block] = [Text(" ".join(lines))] if lines else []
    path = inputs.picture(SHEET, "synthesize")
    return blocks + ([Picture(path, "Synthetic images and the titles they were made from")] if path else [])


def options(inputs: Inputs) -> list[Block]:
    """The pictures of the stage `sweep`: options of sampling, with the same noise in every row."""
    path = inputs.picture(GRID, "sweep")
    caption = (
        "The same prompts from the same noise under other schedulers, guidance scales, numbers of steps and with a "
        "negative prompt; the scores are in plots/sweep.csv"
    )
    return [Picture(path, caption)] if path is not None else []


def results_table(found: Mapping[str, float]) -> Table:
    """Every measure of every training set, of what was not trained, and as published, from `caption_score`'s metrics."""
    models = published()["captioning"]["models"]
    shares = (found.get(f"{data}_share") for data in DATA_NAMES)
    rows = [["share of synthetic data", *(ABSENT if s is None else f"{100 * s:.0f} %" for s in shares)]]
    rows[0] += [ABSENT] * len(models)
    for measure, name in (MEASURE_NAMES | CORPUS_NAMES).items():
        if f"{BASELINE}_{measure}" in found:
            known = (model.get(measure.removesuffix("_exact_stem")) for model in models)
            row = [name, *(_score(found, f"{data}_{measure}") for data in DATA_NAMES)]
            rows.append(row + [ABSENT if v is None else f"{v:.2f}" for v in known])
    return Table(["measure", *DATA_NAMES.values(), *(f"published: {m['name']}" for m in models)], rows)


def results_text(summary: Mapping[str, float]) -> str:
    """The answer and the table as Markdown, for the README; empty where captions were not scored."""
    found = {k.removeprefix(PREFIX): v for k, v in summary.items() if k.startswith(PREFIX)}
    if not found:
        return ""
    answers = "\n".join(f"- {sentence}" for sentence in answer.sentences(found))
    return f"Does synthetic data help captioning?\n\n{answers}\n\n{markdown_table(results_table(found))}"


def published_note() -> str:
    known = published()["captioning"]
    return (
        f"Means over test images (BLEU of single sentences, where not of the corpus) and seeds, ± standard deviation over "
        f"seeds. {DATA_NAMES[ZERO_SHOT].capitalize()}: the captioner before its first step. The instruction model is a "
        "chat model for pictures that is asked for a title and has learnt from none of these, in the miniature from "
        "endless digits over the same photographs. Published: "
        f"[{known['source']}]({known['url']}), on {known['images']}, METEOR with synonyms; on other images and other "
        "models than the miniature's, and without an answer to this question."
    )


def differences_table(found: Mapping[str, float]) -> Table:
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
    return Table(header, rows)


def _score(found: Mapping[str, float], key: str) -> str:
    if key not in found:
        return ABSENT
    spread = found.get(f"{key}_std")
    return f"{found[key]:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
