"""Measure the trainings of one cell at their kept steps, from the base (step 0) on."""

import re
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.stage import Stage, run
from difflab.sd3.artifacts.cells import adapter_folder
from difflab.sd3.params import StepCurveInputs
from difflab.sd3.sampling_curve import SamplingCurve, point


def main(stage: Stage[StepCurveInputs]) -> None:
    params, settings = stage.params, stage.params.step_curve
    curve = SamplingCurve(settings, params.generate, params.score, params.runtime, params.seed, stage.scratch())
    for training in sorted(params.finetune.seeds):
        for step, folder in adapters(adapter_folder(settings.trained_on, settings.logit_mean, training)):
            curve.measure(training, folder, params.generate.guidance_scale, step=step)
    if not curve.rows:  # a further process of a launcher: the main one writes
        return
    fid = curve.write("step_curve", "training step", given=[0])
    for step, mean in fid["mean"].items():
        stage.run.log_metrics({"fid": mean}, step=step)
    first, last = fid.iloc[0], fid.iloc[-1]
    metrics = {"n": len(curve.ids), "ruler": curve.judge.extractor.ruler, "trainings": len(params.finetune.seeds)}
    stage.write_metrics("metrics/step_curve.json", metrics | point("first_fid", first) | point("last_fid", last))
    stage.done(f"wrote plots/step_curve.csv, mean FID {first['mean']:.4g} -> {last['mean']:.4g}")


def adapters(training: Path) -> list[tuple[int, Path | None]]:
    """The base as step 0 without an adapter, then the kept adapters of a training by step."""
    folders = [path for path in (training / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    if not folders:
        raise DifflabError(f"{training} keeps no adapters of single steps: set finetune.adapter_steps")
    return [(0, None), *sorted((int(path.name.removeprefix("step-")), path) for path in folders)]


if __name__ == "__main__":
    run(main, split=True)
