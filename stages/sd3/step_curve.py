"""Measure one cell at its kept training steps, from the base (step 0) on."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_csv
from difflab.core.stage import Stage, run
from difflab.images.store.image_store import ImageStore
from difflab.sd3.caches.prompt_embeds import open_prompts
from difflab.sd3.params.inputs import StepCurveInputs
from difflab.sd3.sampling.generator import load_generator
from difflab.sd3.scoring.sampling_curve import measure, plot_curve
from difflab.sd3.scoring.scores import load_judge


def main(stage: Stage[StepCurveInputs]) -> None:
    params, settings, machine = stage.params.step_curve, stage.params.generate, stage.params.runtime
    store = ImageStore("data/celeba_hq")
    ids = store.split(settings.split)[: params.num_images]
    judge = load_judge(store, stage.params.score, machine.device, stage.params.seed)
    prompts = open_prompts([params.captions])
    generator = load_generator(prompts, machine, stage.params.seed, settings.batch_size)

    rows: list[dict[str, Any]] = []
    for step, folder in adapters(Path("models/finetune") / f"{params.captions}-{params.logit_mean}"):
        generator.use_adapter(folder)
        scale = settings.guidance_scale
        rows.append(measure(judge, generator, ids, params.captions, settings, scale, step=step))
        stage.run.log_metrics({"fid": rows[-1]["fid"]}, step=step)
    table = pd.DataFrame(rows)
    write_csv("plots/step_curve.csv", table)
    plot_curve("plots/step_curve.png", table, "step", "training step")
    metrics = {"n": len(ids), "first_fid": rows[0]["fid"], "last_fid": rows[-1]["fid"]}
    stage.write_metrics("metrics/step_curve.json", metrics)
    stage.done(f"wrote plots/step_curve.csv, FID {rows[0]['fid']:.4g} -> {rows[-1]['fid']:.4g}")


def adapters(cell: Path) -> list[tuple[int, Path | None]]:
    """The base as step 0 without an adapter, then the kept adapters by training step."""
    folders = [path for path in (cell / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    if not folders:
        raise DifflabError(f"{cell} keeps no adapters of single steps: set finetune.adapter_steps")
    return [(0, None), *sorted((int(path.name.removeprefix("step-")), path) for path in folders)]


if __name__ == "__main__":
    run(main)
