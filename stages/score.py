"""Score the generated images of all cells: FID, KID and class accuracy, with the floor of real images
beside."""

import pandas as pd

from difflab.evaluation import scores
from difflab.evaluation.cells import ADAPTERS, CAPTIONS
from difflab.evaluation.features import load_extractor, reference_features
from difflab.evaluation.generated import GeneratedImages
from difflab.files import write_csv, write_parquet
from difflab.stage import Stage, run
from difflab.store.images import ImageStore
from difflab.zoo import roles


def main(stage: Stage) -> None:
    params, seed = stage.params.score, stage.params.seed
    store = ImageStore("data/celeba_hq")
    extractor = load_extractor(
        params.extractor, roles.resolve("models/zoo/tower"), stage.params.runtime.device
    )
    reference_ids = store.split(params.reference_split)
    reference = reference_features(store, reference_ids, extractor, params.batch_size)
    judge = scores.Judge(reference, extractor, store.attributes, params, seed)

    rows = []
    for adapter in ADAPTERS:
        for captions in CAPTIONS:
            generated = GeneratedImages(f"data/generated/{adapter}/{captions}.zip")
            rows += scores.score_cell(judge, generated, adapter, captions)
    n = scores.same_count(rows)
    floor = scores.floor_ids(store.split(params.floor_split), n, seed)
    rows.append(judge.score(store.read(floor), floor, adapter="real", captions="", seed=0))

    table = pd.DataFrame(rows).assign(
        extractor=extractor.name,
        dim=extractor.dim,
        resize=extractor.resize,
        reference=f"{params.reference_split} split",
        reference_n=len(reference_ids),
        sampler="FlowMatchEulerDiscreteScheduler",
        num_inference_steps=stage.params.generate.num_inference_steps,
        guidance_scale=stage.params.generate.guidance_scale,
    )
    write_csv("plots/score.csv", table)
    write_parquet("data/scores/predictions.parquet", judge.all_predictions())
    metrics = scores.summarise(table)
    counts = {"n": n, "seeds": table.seed.nunique(), "reference_n": len(reference_ids), "floor_n": len(floor)}
    metrics |= counts | {"dim": extractor.dim, "rank_deficient": int(n <= extractor.dim)}
    stage.write_metrics("metrics/score.json", metrics)
    best, fid = min(
        ((k, v) for k, v in metrics.items() if k.endswith("_fid") and "floor" not in k), key=lambda x: x[1]
    )
    stage.done(
        f"wrote metrics/score.json; lowest FID {fid:.4g} ({best}), floor {metrics['floor_fid']:.4g}, n {n}"
    )


if __name__ == "__main__":
    run(main)
