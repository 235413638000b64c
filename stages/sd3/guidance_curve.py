"""Measure the trainings of one cell at several guidance scales, and where their mean distance is least."""

from difflab.core.base.stage import Stage, run
from difflab.sd3.artifacts.cells import adapter_folder
from difflab.sd3.params import GuidanceCurveInputs
from difflab.sd3.sampling_curve import SamplingCurve, point


def main(stage: Stage[GuidanceCurveInputs]) -> None:
    params, settings = stage.params, stage.params.guidance_curve
    curve = SamplingCurve(settings, params.generate, params.score, params.runtime, params.seed, stage.scratch())
    for training in sorted(params.finetune.seeds):
        adapter = adapter_folder(settings.trained_on, settings.logit_mean, training)
        for scale in settings.guidance_scales:
            curve.measure(training, adapter, scale, guidance_scale=scale)
    if not curve.rows:  # a further process of a launcher: the main one writes
        return
    fid = curve.write("guidance_curve", "guidance scale")
    for number, mean in enumerate(fid["mean"], start=1):
        stage.run.log_metrics({"fid": mean}, step=number)
    best = fid["mean"].idxmin()
    metrics = {"n": len(curve.ids), "ruler": curve.judge.extractor.ruler, "trainings": len(params.finetune.seeds)}
    metrics["best_guidance_scale"] = float(best)
    stage.write_metrics("metrics/guidance_curve.json", metrics | point("best_fid", fid.loc[best]))
    stage.done(f"wrote plots/guidance_curve.csv, least mean FID {fid['mean'][best]:.4g} at {best:g}")


if __name__ == "__main__":
    run(main, split=True)
