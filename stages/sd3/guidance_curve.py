"""Measure one fine-tuned cell at several guidance scales, and where its distance is least."""

from pathlib import Path

import pandas as pd

from difflab.core.base.files import write_csv
from difflab.core.stage import Stage, run
from difflab.images.store.image_store import ImageStore
from difflab.sd3.caches.prompt_embeds import open_prompts
from difflab.sd3.params.inputs import GuidanceCurveInputs
from difflab.sd3.sampling.generator import load_generator
from difflab.sd3.scoring.sampling_curve import measure, plot_curve
from difflab.sd3.scoring.scores import load_judge


def main(stage: Stage[GuidanceCurveInputs]) -> None:
    params, settings, machine = stage.params.guidance_curve, stage.params.generate, stage.params.runtime
    store = ImageStore("data/celeba_hq")
    ids = store.split(settings.split)[: params.num_images]
    judge = load_judge(store, stage.params.score, machine.device, stage.params.seed)
    prompts = open_prompts([params.captions])
    generator = load_generator(prompts, machine, stage.params.seed, settings.batch_size)
    generator.use_adapter(Path("models/finetune") / f"{params.captions}-{params.logit_mean}")

    rows = []
    for scale in params.guidance_scales:
        rows.append(measure(judge, generator, ids, params.captions, settings, scale, guidance_scale=scale))
        stage.run.log_metrics({"fid": rows[-1]["fid"]}, step=len(rows))
    table = pd.DataFrame(rows)
    write_csv("plots/guidance_curve.csv", table)
    plot_curve("plots/guidance_curve.png", table, "guidance_scale", "guidance scale")
    best = table.loc[table["fid"].idxmin()]
    metrics = {"n": len(ids), "best_guidance_scale": float(best["guidance_scale"]), "best_fid": float(best["fid"])}
    stage.write_metrics("metrics/guidance_curve.json", metrics)
    stage.done(f"wrote plots/guidance_curve.csv, least FID {best['fid']:.4g} at {best['guidance_scale']:g}")


if __name__ == "__main__":
    run(main)
