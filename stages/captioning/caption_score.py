"""Does synthetic data help captioning? Score the captions of all captioners and compare their training sets."""

import pandas as pd

from difflab.captioning import answer, by_originals, judging
from difflab.captioning.params import CaptionScoreInputs
from difflab.captioning.training.trainings import parse, training_rows
from difflab.core.base import rng
from difflab.core.base.files import read_parquet, write_csv, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import read_captions
from difflab.metrics.caption_scores import CaptionScorer
from difflab.metrics.words import TOKENS

OUTPUT, METRICS = "data/caption_scores.parquet", "metrics/caption_score.json"
CURVES = (answer.BASELINE, by_originals.MIXED)
BY_SHARE, BY_ORIGINALS = "plots/captioner/scores.csv", "plots/captioner/originals.csv"


def main(stage: Stage[CaptionScoreInputs]) -> None:
    settings, seed = stage.params.caption_score, stage.params.seed
    rows = read_parquet("data/mixed/rows.parquet")
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    titles = {row.id: [str(title) for title in row.titles] for row in test.itertuples()}
    scorer, judged = CaptionScorer(titles), judging.are_judged(titles)
    shares, total = answer.shares(rows), int((train["source"] == "original").sum())
    runs, images = [], []
    for data in (*answer.DATA, *answer.UNTRAINED):
        path = f"data/captioner/{data}.parquet"
        for variant, own in read_captions(path).groupby("variant"):
            training, captions = parse(str(variant)), dict(zip(own["id"], own["caption"], strict=True))
            scores = scorer.score(captions, f"{path}, {variant}")
            frame, measures = scores.frame(), dict(scores.corpus)
            if judged:
                correct = judging.correct_captions(captions, titles)
                measures |= correct[list(judging.MEASURES)].mean().to_dict()
                frame = frame.merge(correct, on="id")
            named = {"data": data, "originals": training.originals or total, "seed": training.seed}
            if data in answer.DATA:
                key = rng.key(seed, "captioner", training.seed)
                named["images"] = len(training_rows(train, data, training.originals, key))
            runs.append({**named, **measures})
            images.append(frame.assign(**named, caption=frame["id"].map(captions)))
    table, scored = pd.DataFrame(runs), pd.concat(images, ignore_index=True)
    whole = table[table["originals"] == total].drop(columns=["originals", "images"])
    whole.insert(1, "share", whole["data"].map(shares))
    metrics = answer.summarise(scored[scored["originals"] == total], whole, margin=settings.margin)
    curves = (frame[frame["data"].isin(CURVES)] for frame in (scored, table))
    metrics |= by_originals.summarise(*curves, seed=seed, resamples=settings.resamples)
    write_parquet(OUTPUT, scored, gaps=["images"])
    write_csv(BY_SHARE, whole, gaps=["share"])
    write_csv(BY_ORIGINALS, table[table["data"].isin(CURVES)].astype({"images": "int64"}))
    stage.write_metrics(METRICS, {**metrics, "ruler": TOKENS})
    for sentence in (*answer.sentences(metrics), *by_originals.sentences(metrics)):
        print(sentence.replace("**", ""))
    mean, verdict = metrics["mixed_cider_d_difference"], answer.verdict(metrics, "mixed", answer.MAIN)
    stage.done(f"wrote {METRICS}; synthetic data beside originals changes CIDEr-D by {mean:+.3f}: {verdict}")


if __name__ == "__main__":
    run(main)
