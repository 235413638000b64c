"""Does synthetic data help captioning? Score the captions of all captioners and compare their training sets."""

import pandas as pd

from difflab.captioning import answer, judging
from difflab.captioning.params import CaptionScoreInputs
from difflab.core.base.files import read_parquet, write_csv, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.images.store.captions import read_captions
from difflab.metrics.caption_scores import CaptionScorer

OUTPUT, TABLE = "data/caption_scores.parquet", "plots/captioner/scores.csv"
METRICS = "metrics/caption_score.json"


def main(stage: Stage[CaptionScoreInputs]) -> None:
    rows = read_parquet("data/mixed/rows.parquet")
    test = rows[rows["split"] == "test"]
    titles = {row.id: [str(title) for title in row.titles] for row in test.itertuples()}
    scorer, judged = CaptionScorer(titles), judging.are_judged(titles)
    shares = answer.shares(rows)
    runs, images = [], []
    for data in (*answer.DATA, *answer.UNTRAINED):
        path = f"data/captions/captioner/{data}.parquet"
        for variant, own in read_captions(path).groupby("variant"):
            captions, seed = dict(zip(own["id"], own["caption"], strict=True)), int(str(variant).removeprefix("seed-"))
            scores = scorer.score(captions, f"{path}, {variant}")
            frame, measures = scores.frame(), dict(scores.corpus)
            if judged:
                correct = judging.correct_captions(captions, titles)
                measures |= correct[list(judging.MEASURES)].mean().to_dict()
                frame = frame.merge(correct, on="id")
            runs.append({"data": data, "share": shares.get(data), "seed": seed, **measures})
            images.append(frame.assign(data=data, seed=seed, caption=frame["id"].map(captions)))
    table, scored = pd.DataFrame(runs), pd.concat(images, ignore_index=True)
    resamples = stage.params.caption_score.resamples
    metrics = answer.summarise(scored, table, seed=stage.params.seed, resamples=resamples)
    write_parquet(OUTPUT, scored)
    write_csv(TABLE, table)
    stage.write_metrics(METRICS, metrics)
    for sentence in answer.sentences(metrics):
        print(sentence.replace("**", ""))
    mean, verdict = metrics["mixed_cider_d_difference"], answer.verdict(metrics, "mixed", answer.MAIN)
    stage.done(f"wrote {METRICS}; synthetic data beside originals changes CIDEr-D by {mean:+.3f}: {verdict}")


if __name__ == "__main__":
    run(main)
